"""Run the real zgetdump of s390-tools in a guest, with the dump as its SCSI disk.

It describes the dump (``zgetdump -i``) and converts it. Our readers then read its output.

zgetdump 2.16 of Debian 12 takes the PT_LOAD that ``/proc/vmcore`` has for the kernel image since
Linux 6.10 for memory at its virtual address. It still converts such a dump to ELF; in stand-alone
format, which has no holes, it would fill the terabytes in between. It does not read s390_ext. That
of a later Debian suite has neither limit (tried: 2.40).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.byte_source import File
from harness.dump.detect import open_dump
from harness.dump.disk.ext_files import FileSystem
from harness.dump.disk.partition_table import partition_at
from harness.dump.disk.zipl_superblock import is_dump_disk, superblock_of_disk
from harness.dump.formats.s390.c_s390 import SECTOR
from harness.dump.formats.table import FORMATS, Format, Knows, format_named
from harness.dump.reader import Dump
from harness.errors import HostError, UsageError
from harness.host.fault import says_disk_is_full
from harness.images.debian.packages import FOR_ALL_IMAGES, judge_set
from harness.images.initramfs.build import IMAGE
from harness.images.needs import Wanted
from harness.images.provide import OWN_DUMP_KERNEL, Images
from harness.images.store import Store
from harness.judges.guest import PARMLINE, Results, Said, let_judge, make_results
from harness.progress import Progress
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.s390x.zipl import SECTOR_SIZES

MEMORY = 512 << 20
SECONDS = 120.0
SECONDS_PER_GIB = 240.0  # to read it, and to write it in two formats, under TCG
_WHOLE_DISK, _FIRST_PARTITION = "/dev/sda", "/dev/sda1"
_RESULTS = "results.img"
_SLACK = 64 << 20  # in addition to the dumps: ELF headers, the file system's tables and reserve
_VERSION = re.compile(r"version ([\w.]+)")
_FIELD = re.compile(r"\s+(\w[^.]*)\.+: (.*)")


@dataclass(frozen=True)
class Opinion:
    """``info`` is ``zgetdump -i``, ``converted`` is ``zgetdump -f`` by format.

    ``results`` is the disk image that it wrote to. ``elf_alone``: it could convert the dump to
    nothing else, see above.
    """

    version: str
    info: Said
    converted: dict[str, Said]
    results: Path
    elf_alone: bool = False

    @property
    def fields(self) -> dict[str, str]:
        """``Label....: value`` lines of ``info``."""
        found = (match for line in self.info.text.splitlines() if (match := _FIELD.match(line)))
        return {match[1]: match[2].strip() for match in found}

    def dump(self, form: str) -> Dump:
        """The dump that zgetdump wrote; raises EvidenceError if it cannot be read."""
        return open_dump(self.results, form)


class Zgetdump:
    """The zgetdump of Debian 12, or of another Debian ``suite``, trixie or later.

    Needs the builder guest's kernel and packages; raises BuildError and HostError for those.
    ``time_factor`` multiplies its deadline.
    """

    def __init__(
        self,
        store: Store,
        progress: Progress,
        *,
        suite: str | None = None,
        time_factor: float = 1.0,
    ) -> None:
        self._progress, self._suite, self._factor = progress, suite, time_factor
        self._images = Images(store, progress)

    @property
    def wanted(self) -> Wanted:
        """The packages and kernel of its guest."""
        return Wanted((OWN_DUMP_KERNEL,), (*FOR_ALL_IMAGES, judge_set(self._suite)), machine=True)

    def prepare(self) -> None:
        """Build what is missing, so that it is ready before a run needs it."""
        self._images.provide(self.wanted)
        self._images.judge_initramfs(self._suite)
        self._images.dump_kernel()

    @contextmanager
    def judging(self, path: Path, dump: Dump) -> Iterator[Opinion]:
        """Zgetdump's opinion of ``dump``, for the duration of a ``with`` block.

        ``path`` is its file, or the image of the disk that ``zipl -d`` prepared for it; it is not
        written to. Raises UsageError for a dump that zgetdump does not know, HostError if the guest
        does not do its job.
        """
        if why := self.unknown(dump):
            raise UsageError(f"{dump.name}: {why}", hint=self._hint(dump))
        elf_alone = self._suite is None and _image_apart(dump)
        device, formats = _device(path, dump), _written(virtual=elf_alone)
        size = max(dump.length, dump.memory_map[-1].end - dump.memory_map[0].start)
        disk = Disk(path, read_only=True, sector_size=_sector_size(dump))
        with self._run(disk, device, formats, size) as results:
            opinion = _opinion(results, formats, elf_alone=elf_alone)
            if any(says_disk_is_full(said.text) for said in opinion.converted.values()):
                raise HostError(f"the judge's own disk of {results.stat().st_size} bytes was full")
            yield opinion

    def info(self, path: Path, sector_size: int) -> Said:
        """``zgetdump -i`` of the first partition of the disk image ``path``, whatever is there.

        Its exit status is not 0 if it takes that for no dump, or for one that is not whole. Raises
        HostError if the guest does not do its job.
        """
        disk = Disk(path, read_only=True, sector_size=sector_size)
        with self._run(disk, _FIRST_PARTITION, (), 0) as results:
            return _opinion(results, (), elf_alone=False).info

    @contextmanager
    def _run(self, disk: Disk, device: str, formats: Sequence[str], size: int) -> Iterator[Path]:
        """The disk image with its results about ``size`` bytes, during a ``with`` block."""
        guest = self._images.judge_initramfs(self._suite)
        with TemporaryDirectory(prefix="judge-") as scratch:
            directory = Path(scratch)
            results = directory / _RESULTS
            make_results(results, size * len(formats) + _SLACK)
            spec = MachineSpec(
                memory=MEMORY,
                cpus=1,
                kernel=self._images.dump_kernel().image,
                initrd=guest.path / IMAGE,
                append=f"{PARMLINE} judge.device={device} judge.formats={','.join(formats)}",
                disks=(disk, Disk(results, lun=1)),
            )
            seconds = (SECONDS + SECONDS_PER_GIB * size / (1 << 30)) * self._factor
            with self._progress.task("let zgetdump judge it"):
                let_judge("zgetdump", spec, directory, seconds)
            yield results

    def unknown(self, dump: Dump) -> str | None:
        """Why it cannot be asked about ``dump``; None if it can."""
        later = self._suite is not None
        known = [row.name for row in FORMATS if _reads(row, later=later)]
        which = f"of {self._suite}" if later else "2.16"
        if dump.format not in known:
            return f"zgetdump {which} knows {', '.join(known)}, not {dump.format}"
        if not dump.memory_map:
            return "it has no memory"
        if not later and any(dump.left_out):
            return "zgetdump 2.16 does not know memory that was left out of the file (p_filesz)"
        if any(cpu.whole is None for cpu in dump.cpus):  # zgetdump takes zero for what is unknown
            return f"the dump does not have all registers: {'; '.join(dump.misfits)}"
        sector = _sector_size(dump)
        block = dump.facts.get("blk_size", sector)
        if block != sector:
            return f"it counts in blocks of {block} bytes, and the guest's disk has {sector}"
        return None

    def _hint(self, dump: Dump) -> str:
        """What to do about a dump that is ``unknown``."""
        knows = format_named(dump.format).zgetdump
        is_filtered = knows is Knows.KNOWS and any(dump.left_out)
        convert = f"zharness dump convert makes an {' or '.join(_written())} dump of it"
        hints = [] if is_filtered else [convert]
        if self._suite is None and (is_filtered or knows is Knows.READS_LATER):
            hints.append("a later zgetdump reads it: --suite sid")
        return "; ".join(hints)


def _reads(row: Format, *, later: bool) -> bool:
    return row.zgetdump is Knows.KNOWS or (later and row.zgetdump is Knows.READS_LATER)


def _written(*, virtual: bool = False) -> tuple[str, ...]:
    """The formats that it writes; with ``virtual`` only those that tell virtual addresses."""
    known = (row for row in FORMATS if row.zgetdump is Knows.KNOWS)
    return tuple(row.name for row in known if row.has_virtual or not virtual)


def _sector_size(dump: Dump) -> int:
    """Of the disk that zgetdump sees: that of the dump's disk, or what the dump counts in."""
    known = dump.container_facts.get("sector_size") or dump.facts.get("blk_size")
    return next((size for size in SECTOR_SIZES if size == known), SECTOR)


def _device(path: Path, dump: Dump) -> str:
    if not dump.container:
        return _WHOLE_DISK
    with File.open(path) as disk:
        if is_dump_disk(disk):
            place = superblock_of_disk(disk).superblock
            named = partition_at(disk, place.part_start, place.part_size)
            return f"/dev/{named[0].name}" if named else _FIRST_PARTITION
    raise UsageError(
        f"zgetdump finds no dump in {path}: it is in {dump.container}",
        hint="zharness dump convert takes it out",
    )


def _image_apart(dump: Dump) -> bool:
    """Whether the kernel's image has a PT_LOAD of its own."""
    return any(segment.vaddr not in (None, segment.paddr) for segment in dump.segments)


def _opinion(results: Path, formats: Sequence[str], *, elf_alone: bool) -> Opinion:
    with File.open(results) as image:
        told = Results("zgetdump", FileSystem(image, 0, image.size))
        converted = {form: told.said(form) for form in formats}
        version = _VERSION.search(told.said("version").text)
        known = "of an unknown version" if version is None else version[1]
        return Opinion(known, told.said("info"), converted, results, elf_alone)
