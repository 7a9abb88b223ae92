"""Call each reader like the front ends do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from harness.dump.byte_source import File
from harness.dump.describe import describe
from harness.dump.detect import open_dump
from harness.dump.disk.ext_files import FileSystem, is_ext
from harness.dump.disk.ngdump import parse_meta
from harness.dump.disk.partition_table import partition_at, partition_numbered, read_table
from harness.dump.formats.elf.notes import cpus_in, parse_notes
from harness.dump.formats.elf.reader import parse_layout
from harness.dump.linux.crashed_kernel import Kernel, lowcores, uts_names
from harness.dump.linux.kernel_log import read_log
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump
from harness.errors import EvidenceError, UserSpaceCore
from harness.inspect import check as alone
from harness.progress import NoProgress
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.zipl import SECTOR_SIZES
from tests.support.dumps.byte_source import Memory

_SEGMENTS = 50  # the most segments that are read
PARTS = b"\f"  # separates the answers of debugfs


def read_any_dump(data: bytes, path: Path) -> None:
    """Read a dump in a file, of any format, or the disk or partition that has it."""
    path.write_bytes(data)
    with open_dump(path) as dump:
        all_of(
            lambda: (dump.facts, dump.incomplete, dump.length, dump.missing),
            lambda: dump.memory_map,
            lambda: dump.cpus,
            lambda: dump.vmcoreinfo,
            lambda: _pages(dump),
            lambda: describe(dump),
            lambda: alone.check(dump, alone.superblock_of(path), NoProgress()),
        )


def read_user_core(data: bytes, path: Path) -> None:
    """Be told that a file is the core of a process, or read it as a dump."""
    with suppress(UserSpaceCore):
        read_any_dump(data, path)


def all_of(*parts: Callable[[], object]) -> None:
    """Call every part, even if an earlier one was refused; then raise the first refusal."""
    refusals: list[EvidenceError] = []
    for part in parts:
        try:
            part()
        except EvidenceError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def _pages(dump: Dump) -> None:
    for segment in islice(dump.segments, _SEGMENTS):
        segment.read(segment.paddr, 2 * PAGE_SIZE)
        dump.read(segment.paddr, min(PAGE_SIZE, max(1, segment.size)))
        list(islice(segment.data_ranges(segment.paddr, segment.end), _SEGMENTS))


def read_notes(data: bytes, path: Path) -> None:
    """Read only the notes of an ELF core."""
    content = Memory(data, path.name)
    notes = tuple(parse_notes(content, parse_layout(content).notes))
    cpus_in(notes, path.name)


def read_kernel(data: bytes, path: Path) -> None:
    """Read everything that is found through VMCOREINFO."""
    path.write_bytes(data)
    with open_dump(path) as dump:
        info = Vmcoreinfo.of(dump)
        kernel = Kernel(dump)
        all_of(
            *(lambda name=name: info.symbol(name) for name in ("prb", "swapper_pg_dir")),
            lambda: (info.address("KERNELOFFSET"), info.size("prb_desc")),
            lambda: info.length("lowcore_ptr"),
            lambda: uts_names(kernel),
            lambda: lowcores(kernel),
            lambda: list(read_log(kernel)),
            lambda: describe(dump),
            lambda: alone.check(dump, None, NoProgress()),
        )


def read_partition_table(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    with File.open(path) as disk:
        for size in SECTOR_SIZES:
            for number in (1, 5):
                with suppress(EvidenceError):  # only one of the sizes is right
                    partition_numbered(disk, number, size)
            with suppress(EvidenceError):
                _places(disk, size)
        _places(disk, None)


def _places(disk: File, sector_size: int | None) -> None:
    """Every partition is on the disk; it is found again by its place, or is not the only one."""
    table = read_table(disk, sector_size)
    for place in table.on_disk(disk.size) if table else ():
        assert 0 < place.size <= disk.size - place.start
        is_ext(disk, place.start)
    for place in table.partitions if table else ():
        partition_at(disk, place.start, place.size)


def read_ngdump(data: bytes, path: Path) -> None:
    parse_meta(Memory(data, path.name))


class _Told(FileSystem):
    """A file system for which debugfs gives ``answers``: a listing, then a file's inode."""

    def __init__(self, disk: File, answers: bytes) -> None:
        super().__init__(disk, 0, disk.size)
        listing, _, inode = answers.decode(errors="replace").partition(PARTS.decode())
        self._answers = {"ls": listing, "stat": inode}

    def _request(self, request: str, most: int) -> str:
        return self._answers[request.split()[0]][:most]

    def _requests(self, requests: Sequence[str], most: int) -> list[str]:
        return [self._request(request, most) for request in requests]


def read_debugfs(data: bytes, path: Path) -> None:
    """Read a file system: ``data`` is a superblock of 2 KiB, then the answers of debugfs."""
    path.write_bytes(data)
    with File.open(path) as disk:
        system = _Told(disk, data[2048:])
        for file in (*system.dumps(), system.find("dump.0")):
            if file is None:
                continue
            content = system.content(file)
            content.upto(0, 4 * PAGE_SIZE)
            content.upto(max(0, content.size - PAGE_SIZE), PAGE_SIZE)
            list(islice(content.data_extents(), _SEGMENTS))
