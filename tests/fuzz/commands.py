"""Call the code of commands with a file, and the collection of a dump from a guest's disk."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path

from harness.cli.commands.dump import extract as extract_part
from harness.dump.byte_source import File
from harness.dump.collect import collect_partition
from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.dump.disk.ext_files import FileSystem
from harness.dump.formats.table import writers
from harness.errors import EvidenceError, HostError, UsageError
from harness.evidence.names import DUMP
from harness.host.tools import find_tool
from harness.images.kernel import image as kernel_image
from harness.inspect.compare import compare
from harness.progress import NoProgress
from harness.verify.evidence import Evidence
from harness.verify.run_checks import DUMP_CHECKS, run_checks
from tests.fuzz import seeds
from tests.fuzz.mutate import Seed
from tests.fuzz.readers import all_of
from tests.fuzz.seeds import Reader
from tests.support.evidence import PAGE, SyntheticRun, collect_again
from tests.support.kernels.crashed_kernel import CrashedKernel

_FILES = 50  # the most files that are read
_RIGHT = "right.elf"


def compare_dumps(data: bytes, path: Path) -> None:
    """Compare the dump with a right dump, in both orders, and with itself."""
    path.write_bytes(data)
    right = path.with_name(_RIGHT)
    if not right.exists():
        right.write_bytes(seeds.elf())
    with open_dump(right) as one, open_dump(path) as other:
        all_of(
            lambda: compare(one, other, NoProgress()),
            lambda: compare(other, one, NoProgress()),
            lambda: compare(other, other, NoProgress()),
        )


def convert_dump(data: bytes, path: Path) -> None:
    """Convert the dump into every format; a written dump can be read, others leave no file."""
    path.write_bytes(data)
    with open_dump(path) as dump:
        all_of(*(partial(_convert, dump, path, form) for form in writers()))


def _convert(dump, path: Path, form: str) -> None:
    target = path.with_name("converted")
    with _refused(), _removed(target):
        convert(dump, target, form, NoProgress())
        with open_dump(target) as written:
            assert written.format == form
            assert written.incomplete is None


def extract_parts(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    wanted = (("dmesg", None), ("vmcoreinfo", None), ("cpu", "0"))
    with open_dump(path) as dump, redirect_stdout(io.StringIO()):
        all_of(
            *(
                partial(_extract, dump, what, which, json)
                for what, which in wanted
                for json in (False, True)
            )
        )


def _extract(dump, what: str, which: str | None, json: bool) -> None:
    with _refused():
        extract_part.extract(dump, what, which, json=json)


def collect_from_partition(data: bytes, path: Path) -> None:
    """Collect from a disk that a dump system has written to: faults are recorded, not raised."""
    path.write_bytes(data)
    with tempfile.TemporaryDirectory(dir=path.parent) as into:
        collected = collect_partition(path, Path(into), NoProgress())
        assert (Path(into) / DUMP).exists() is (collected.size is not None)


def read_file_system(data: bytes, path: Path) -> None:
    """Read a real, damaged file system with the real debugfs."""
    path.write_bytes(data)
    with File.open(path) as disk:
        system = FileSystem(disk, 0, disk.size)
        for file in (*islice(system.dumps(), _FILES), system.find("dump.0")):
            if file is not None:
                content = system.content(file)
                content.upto(0, 4 * PAGE)
                content.upto(max(0, content.size - PAGE), PAGE)
                list(islice(content.data_extents(), _FILES))


def verify_run(data: bytes, path: Path) -> None:
    """The evidence of a whole run with this dump: every check except drgn's finishes."""
    root = path.with_name("evidence")
    if not root.exists():
        crashed = CrashedKernel()
        SyntheticRun(memory=bytes(crashed.memory()), cpus=list(crashed.cpus)).write(root)
    (root / "dump" / DUMP).write_bytes(data)
    collect_again(root)
    checks = tuple(check for check in DUMP_CHECKS if "semantic" not in check.__module__)
    with Evidence.open(root) as evidence:
        checked = run_checks(evidence, checks)
    assert len(checked.dump) == len(checks)


def read_kernel_image(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    with _refused():
        image = kernel_image.check(path)
        kernel_image.release(image)
        kernel_image.version(image)
        kernel_image.embedded_config(image, path.name)
        kernel_image.can_dump(image, path.name)


@contextmanager
def _refused() -> Iterator[None]:
    """Turn other refusals into the error for damaged files.

    A dump can have more bytes than any file system can store: that is a HostError.
    """
    try:
        yield
    except (UsageError, HostError) as error:
        raise EvidenceError(f"fuzzed.img: {error.message}") from error


@contextmanager
def _removed(file: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            file.unlink()


@cache
def file_system(kind: str, block: int) -> Seed:
    """A file system of 2 MiB with two dumps, made by mke2fs."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        files = scratch / "files"
        files.mkdir()
        (files / "dump.0").write_bytes(seeds.elf()[:40_000])
        with (files / "dump.1").open("wb") as sparse:
            sparse.write(os.urandom(5000))
            sparse.truncate(300_000)
        shutil.copy(files / "dump.0", files / "dump.x")
        image = scratch / "image"
        subprocess.run(
            [
                *(find_tool("mke2fs"), "-q", "-F", "-t", kind, "-b", str(block)),
                *("-d", str(files), str(image), "2048k"),
            ],
            check=True,
            capture_output=True,
        )
        content = image.read_bytes()
    # superblock, group descriptors, bitmaps and inode tables are at the beginning
    return Seed(content, [(1024, 2048), (2048, 16 * block), (1024, 1024 + 264)])


def kernel() -> Seed:
    """The head of a kernel image with some compressed data."""
    head = bytearray(0x10500)
    head[0x10008:0x1000E] = b"S390EP"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    text = b"Linux version 6.12.1 (x@y) (gcc)\n" * 50 + b"IKCFG_ST" + bytes(2000)
    packed = packer.compress(text) + packer.flush()
    content = bytes(head) + packed
    return Seed(content, [(0x10000, 0x10500), (0x10500, len(content)), (0x10400, 0x10430)])


def all_commands() -> tuple[Reader, ...]:
    """Rows for the campaign, in addition to the readers."""
    dumps = {reader.name: reader.seeds for reader in seeds.all_readers()}
    formats = ("elf", "s390", "s390_ext", "kdump", "flattened", "lkcd")
    any_dump = tuple(seed for name in formats for seed in dumps[name])
    systems = tuple(
        file_system(kind, block)
        for kind in ("ext2", "ext3", "ext4")
        for block in (1024, 2048, 4096)
    )
    rows: tuple[tuple[str, Callable[[bytes, Path], None], tuple[Seed, ...]], ...] = (
        ("compare", compare_dumps, any_dump),
        ("convert", convert_dump, any_dump),
        ("extract", extract_parts, any_dump),
        ("collect partition", collect_from_partition, dumps["dump disk"]),
        ("file system", read_file_system, systems),
        ("evidence", verify_run, dumps["elf"]),
        ("kernel image", read_kernel_image, (kernel(),)),
    )
    return tuple(Reader(name, read, seeds_) for name, read, seeds_ in rows)
