"""The genuine zgetdump of s390-tools, in a guest with the dump as its SCSI disk.

It says what it makes of the dump (``zgetdump -i``) and converts it; what it wrote is read back.

Debian 12's zgetdump, 2.16, takes the PT_LOAD that ``/proc/vmcore`` has for the kernel image since
Linux 6.10 for memory at its virtual address. It still converts such a dump to ELF; in stand-alone
format, which has no holes, it would fill the terabytes in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.build.command import Tools
from harness.build.images import Images
from harness.build.initramfs import IMAGE
from harness.build.job import run_job
from harness.build.store import Built, Store
from harness.dump.content import File
from harness.dump.detect import open_dump
from harness.dump.ext import FileSystem
from harness.dump.reader import Dump
from harness.dump.superblock import is_dump_disk
from harness.errors import EvidenceError, HostError, UsageError
from harness.progress import Progress
from harness.qemu.process import CONSOLE_LOG
from harness.qemu.spec import Disk, MachineSpec

JOB = "judge"
MEMORY = 512 << 20
SECONDS = 120.0
SECONDS_PER_GIB = 240.0  # to read it, and to write it in two formats, under TCG
KNOWN = ("elf", "s390")  # formats that it reads and writes
_WHOLE_DISK, _FIRST_PARTITION = "/dev/sda", "/dev/sda1"
_RESULTS = "results.img"
_SLACK = 64 << 20  # beside the dumps: ELF headers, the file system's own tables
_FIELD = re.compile(r"\s+(\w[^.]*)\.+: (.*)")


@dataclass(frozen=True)
class Said:
    """One call of zgetdump: its exit ``status``, and the ``text`` it printed."""

    status: int
    text: str


@dataclass(frozen=True)
class Opinion:
    """``info`` is ``zgetdump -i``, ``converted`` is ``zgetdump -f`` by format.

    ``results`` is the disk image with what it wrote.
    """

    version: str
    info: Said
    converted: dict[str, Said]
    results: Path

    @property
    def fields(self) -> dict[str, str]:
        """``Label....: value`` lines of ``info``."""
        found = (match for line in self.info.text.splitlines() if (match := _FIELD.match(line)))
        return {match[1]: match[2].strip() for match in found}

    def dump(self, form: str) -> Dump:
        """What zgetdump made of the dump; raises EvidenceError if that is unreadable."""
        return open_dump(self.results, form)


class Zgetdump:
    """Needs the builder guest's kernel and packages; raises BuildError and HostError for those.

    ``time_factor`` multiplies its deadline.
    """

    def __init__(self, store: Store, progress: Progress, *, time_factor: float = 1.0) -> None:
        self._progress, self._factor = progress, time_factor
        self._images = Images(store, progress)

    def prepare(self) -> None:
        """Build what is missing, before anything depends on it."""
        self._images.judge_initramfs()
        self._images.dump_kernel()

    @contextmanager
    def judging(self, path: Path, dump: Dump) -> Iterator[Opinion]:
        """What zgetdump says of ``dump``, for the length of a ``with`` block.

        ``path`` is its file, or the image of the disk that ``zipl -d`` prepared for it; it is not
        written to. Raises UsageError for a dump of which zgetdump has no knowledge, HostError if
        the guest does not do its job.
        """
        if why := unknown(dump):
            hint = "zharness dump convert makes an elf or s390 dump of it"
            raise UsageError(f"{dump.name}: {why}", hint=hint)
        device, formats = _device(path, dump), ("elf",) if elf_alone(dump) else KNOWN
        size = max(dump.length, dump.memory_map[-1].end - dump.memory_map[0].start)
        guest = self._images.judge_initramfs()
        with TemporaryDirectory(prefix="judge-") as scratch:
            directory = Path(scratch)
            results = directory / _RESULTS
            self._make_results(results, size * len(formats) + _SLACK)
            spec = MachineSpec(
                memory=MEMORY,
                cpus=1,
                kernel=self._images.dump_kernel().image,
                initrd=guest.path / IMAGE,
                append=(
                    "console=ttysclp0 panic=0 quiet scsi_mod.scan=manual "
                    f"judge.device={device} judge.formats={','.join(formats)}"
                ),
                disks=(Disk(path, read_only=True), Disk(results, lun=1)),
            )
            seconds = (SECONDS + SECONDS_PER_GIB * size / (1 << 30)) * self._factor
            with self._progress.task("let zgetdump judge it"):
                complaint = run_job(spec, directory, JOB, seconds)
            if complaint is not None:
                log = (directory / CONSOLE_LOG).read_text(errors="replace")
                raise HostError(f"the guest that runs zgetdump failed: {complaint}\n{log[-500:]}")
            yield _opinion(results, formats, _version(guest))

    def _make_results(self, results: Path, size: int) -> None:
        with results.open("xb") as file:
            file.truncate(size)
        options = ("-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1")
        Tools(results.with_suffix(".log"), "a disk for results").run(
            ["mke2fs", *options, str(results)]
        )


def _device(path: Path, dump: Dump) -> str:
    if not dump.container:
        return _WHOLE_DISK
    with File.open(path) as disk:
        if is_dump_disk(disk):
            return _FIRST_PARTITION
    raise UsageError(
        f"zgetdump finds no dump in {path}: it is in {dump.container}",
        hint="zharness dump convert takes it out",
    )


def unknown(dump: Dump) -> str | None:
    """Why zgetdump cannot be asked about ``dump``; None if it can."""
    if dump.format in KNOWN:
        return None
    return f"zgetdump 2.16 knows {', '.join(KNOWN)}, not {dump.format}"


def elf_alone(dump: Dump) -> bool:
    """Whether zgetdump cannot convert ``dump`` to anything but ELF, see above."""
    return any(segment.vaddr not in (None, segment.paddr) for segment in dump.segments)


def _version(guest: Built) -> str:
    packages = guest.manifest["packages"]
    return next(str(each["version"]) for each in packages if each["name"] == "s390-tools")


def _opinion(results: Path, formats: Sequence[str], version: str) -> Opinion:
    with File.open(results) as image:
        files = FileSystem(image, 0, image.size)
        converted = {form: _said(files, form) for form in formats}
        return Opinion(version, _said(files, "info"), converted, results)


def _said(files: FileSystem, what: str) -> Said:
    status = _text(files, f"{what}.status").strip()
    if not status.isdigit():
        raise EvidenceError(f"zgetdump's results: {what}.status holds {status!r}")
    return Said(int(status), _text(files, f"{what}.err").strip())


def _text(files: FileSystem, name: str) -> str:
    file = files.find(name)
    if file is None:
        raise EvidenceError(f"zgetdump's results: no {name}")
    content = files.content(file)
    return content.read(0, content.size).decode(errors="replace")
