"""Reader of kdump-compressed dumps, as makedumpfile and QEMU write them on s390x.

No library fits: libkdumpfile has no wheel, and the copy in drgn gives memory only. A dump has two
bitmaps. The first has the pages of the machine, the second the pages in the dump. Each page in the
dump has a descriptor, in ascending order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from types import MappingProxyType

from harness.dump.byte_source import ByteSource
from harness.dump.formats.elf.notes import (
    ElfNote,
    NoteSegment,
    cpus_in,
    has_s390_registers,
    misfits_in,
    parse_notes,
    vmcoreinfo_of,
)
from harness.dump.formats.elf.other_readers import made_by_qemu, of_notes
from harness.dump.formats.kdump.c_kdump import (
    DUMP_DH_COMPRESSED_INCOMPLETE,
    DUMP_DH_COMPRESSED_LZO,
    DUMP_DH_COMPRESSED_SNAPPY,
    DUMP_DH_COMPRESSED_ZLIB,
    DUMP_DH_COMPRESSED_ZSTD,
    HEADER_SIZE,
    PAGE_DESC_SIZE,
    SUB_HEADER_SIZE,
    VERSION_64,
    VERSION_NOTE,
    VERSION_SPLIT,
    VERSION_VMCOREINFO,
    c_kdump,
)
from harness.dump.formats.packed import (
    LZO_PACKAGE,
    SNAPPY_PACKAGE,
    unlzo,
    unsnappy,
    unzlib,
    unzstd,
)
from harness.dump.formats.page_runs import (
    Bitmap,
    PagedDump,
    PagedMemory,
    PageRuns,
    RunRanges,
    RunSegments,
    runs_in_bitmap,
)
from harness.dump.reader import Range, Segment, vmcoreinfo_in, without
from harness.dump.refusal import OtherReader, Refusal
from harness.errors import EvidenceError, HostError
from harness.limits import limits, require
from harness.s390x.cpu import DumpedCpu
from harness.s390x.lowcore import PAGE_SIZE

_MACHINE = "s390x"
_NO_MACHINE = ("", "unknown")  # QEMU's dump/dump.c: "Unknown" without ELF_MACHINE_UNAME (QEMU 11)
_ZERO_PAGES = 1  # the dump level that leaves out only zero pages (makedumpfile(8))
_MAX_PAGES = 1 << 51  # as many as 63 bits can address
_SCANNED = 4096  # descriptors read at once in a scan
_READ_AHEAD = 64  # descriptors read at once for pages
_DESC = struct.Struct(">QIIQ")  # page_desc: fast enough for millions of them

_UNPACK: Mapping[int, Callable[[bytes, int], bytes]] = MappingProxyType(
    {
        DUMP_DH_COMPRESSED_ZLIB: unzlib,
        DUMP_DH_COMPRESSED_LZO: unlzo,
        DUMP_DH_COMPRESSED_SNAPPY: unsnappy,
        DUMP_DH_COMPRESSED_ZSTD: unzstd,
    }
)
_PACKED = sum(_UNPACK)
_PACKAGES = {
    DUMP_DH_COMPRESSED_LZO: ("lzo", LZO_PACKAGE),
    DUMP_DH_COMPRESSED_SNAPPY: ("snappy", SNAPPY_PACKAGE),
}


class KdumpDump(PagedDump):
    """A kdump-compressed dump in ``content``; only headers and one bitmap are read at once."""

    format = "kdump"

    def __init__(self, content: ByteSource) -> None:
        self.content, self.name = content, content.name
        self._header = header = _header(content)
        self._sub = _sub_header(content, header)
        self._require_s390x()
        pages = self._sub.max_mapnr_64 or header.max_mapnr
        bitmap_size = header.bitmap_blocks // 2 * PAGE_SIZE
        bitmap_at = (1 + header.sub_hdr_size) * PAGE_SIZE
        self._descriptors = bitmap_at + 2 * bitmap_size
        if self._descriptors > content.size or pages > min(bitmap_size * 8, _MAX_PAGES):
            raise EvidenceError(
                f"{self.name}: max_mapnr says {pages} pages, bitmap_blocks {header.bitmap_blocks}: "
                f"that is less, or behind the end of the file at {content.size:#x}"
            )
        self._memory = Bitmap(content, bitmap_at, bitmap_size, pages)
        self._dumped = runs_in_bitmap(content, bitmap_at + bitmap_size, bitmap_size, pages)
        self._pages = _Pages(content, self._dumped, self._descriptors, pages)
        self.segments = RunSegments(self._dumped, self._pages)
        self._extent: tuple[int, int] | None = None

    @property
    def cpus(self) -> tuple[DumpedCpu, ...]:
        """In the order of the notes; empty if the dump has no notes."""
        return cpus_in(self._notes(), self.name)

    @property
    def misfits(self) -> tuple[str, ...]:
        return misfits_in(self._notes())

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        notes = self._notes()
        found = list(of_notes(notes, elf=False))
        machine = _text(self._header.utsname.machine)
        if notes and machine != _MACHINE:
            why = f"utsname.machine is {machine!r}, not {_MACHINE!r}"
            readers = (OtherReader.DRGN, OtherReader.LIBKDUMPFILE)
            found.append(Refusal(readers, why, usual=made_by_qemu(notes)))
        return tuple(found)

    @property
    def length(self) -> int:
        """Reads all page descriptors at the first call."""
        return self._stored()[0]

    @property
    def vmcoreinfo(self) -> bytes | None:
        """From its own place in the dump, or from the notes; with QEMU it is only in memory."""
        sub = self._sub
        if sub.size_vmcoreinfo == 0:
            notes = self._notes()
            noted = vmcoreinfo_of(notes, self.name)
            return vmcoreinfo_in(self) if noted is None else noted
        require(self.name, "bytes of VMCOREINFO", sub.size_vmcoreinfo, limits().vmcoreinfo)
        return self.content.read(sub.offset_vmcoreinfo, sub.size_vmcoreinfo, "VMCOREINFO")

    @property
    def facts(self) -> Mapping[str, object]:
        """``left_out`` counts the pages of the machine that are not in the dump."""
        header, sub = self._header, self._sub
        return {
            "header_version": header.header_version,
            "release": _text(header.utsname.release),
            "tv_sec": header.tv_sec,
            "status": header.status,
            "nr_cpus": header.nr_cpus,
            "dump_level": sub.dump_level,
            "max_mapnr": sub.max_mapnr_64 or header.max_mapnr,
            "left_out": self._left_out,
        }

    @property
    def incomplete(self) -> str | None:
        if self._header.status & DUMP_DH_COMPRESSED_INCOMPLETE:
            return "makedumpfile marked it as incomplete: it ran out of space"
        return None

    @property
    def filtered(self) -> str | None:
        level, left_out = self._sub.dump_level, self._left_out
        if level == _ZERO_PAGES or not left_out:
            return None
        if not level:
            return f"{left_out} pages were left out, although dump_level is 0"
        return f"{left_out} pages were left out by makedumpfile -d {level}"

    @property
    def left_out(self) -> Iterator[Range]:
        """Pages of the machine that are not in the dump, whatever ``dump_level`` is."""
        return without(RunRanges(self._memory.runs()), self.memory_map)

    @cached_property
    def _left_out(self) -> int:
        return self._memory.count() - self._dumped.count

    @property
    def missing(self) -> int:
        """Reads all page descriptors at the first call."""
        return self._stored()[1]

    def _require_s390x(self) -> None:
        """The registers tell the machine if its name does not; a dump without notes has none."""
        machine = _text(self._header.utsname.machine)
        if machine.lower() not in _NO_MACHINE:
            return
        notes = self._notes()
        if notes and not has_s390_registers(notes):
            raise EvidenceError(
                f"{self.name}: foreign: utsname.machine is {machine or 'empty'}, and no note has "
                "registers of s390x only (NT_S390_CTRS, ...)"
            )

    def _notes(self) -> tuple[ElfNote, ...]:
        sub = self._sub
        segment = NoteSegment(sub.offset_note, sub.size_note)
        return tuple(parse_notes(self.content, (segment,)))

    def _segment_at(self, address: int) -> Segment | None:
        segment, page = super()._segment_at(address), address // PAGE_SIZE
        if segment is None and page in self._memory:
            raise EvidenceError(f"{self.name}: page {page * PAGE_SIZE:#x} was left out of the dump")
        return segment

    def _stored(self) -> tuple[int, int]:
        """The end of the dump, and how many bytes of memory are behind the end of the file."""
        if self._extent is None:
            table_end = self._descriptors + self._dumped.count * PAGE_DESC_SIZE
            end, here = table_end, 0  # bytes, pages
            for at in range(self._descriptors, table_end, _SCANNED * PAGE_DESC_SIZE):
                data = self.content.upto(at, min(_SCANNED * PAGE_DESC_SIZE, table_end - at))
                whole = len(data) - len(data) % PAGE_DESC_SIZE
                for offset, size, _, _ in _DESC.iter_unpack(data[:whole]):
                    end = max(end, offset + size)
                    here += offset > 0 and offset + size <= self.content.size
                if not whole:
                    break
            self._extent = end, (self._dumped.count - here) * PAGE_SIZE
        return self._extent


class _Pages(PagedMemory):
    def __init__(self, content: ByteSource, runs: PageRuns, descriptors: int, pages: int) -> None:
        super().__init__(content, pages)
        self._runs, self._descriptors = runs, descriptors
        self._known: tuple[int, bytes] = (0, b"")  # descriptors from this one on

    def page(self, number: int) -> bytes:
        index = self._runs.index_of(number)
        if index is None:
            raise EvidenceError(f"{self.name}: page {number * PAGE_SIZE:#x} is not in the dump")
        offset, size, flags = self._descriptor(index, number)
        if not offset > 0 or size > PAGE_SIZE:
            what = f"has size {size}, more than a page" if offset else "was lost: offset is 0"
            raise self._error(index, number, f" {what}")
        data = self._content.upto(offset, size)
        if len(data) < size:
            self._content.read(offset, size, f"page {number * PAGE_SIZE:#x}")  # raises
        method = flags & _PACKED
        if lacking := _lacking(method):
            raise self._error(index, number, f": {lacking}")
        if method not in _UNPACK and (method or size != PAGE_SIZE):
            raise self._error(index, number, f" has flags {flags:#x} and size {size}")
        try:
            return _UNPACK[method](data, PAGE_SIZE) if method else data
        except ValueError as error:
            raise self._error(index, number, f" is damaged: {error}") from error

    def _descriptor(self, index: int, number: int) -> tuple[int, int, int]:
        """Offset, size and flags of page ``number``; fast if pages are read in ascending order."""
        first, data = self._known
        if not first <= index < first + len(data) // PAGE_DESC_SIZE:
            at = self._descriptors + index * PAGE_DESC_SIZE
            first, data = index, self._content.upto(at, _READ_AHEAD * PAGE_DESC_SIZE)
            if len(data) < PAGE_DESC_SIZE:
                self._content.read(
                    at, PAGE_DESC_SIZE, f"descriptor of page {number * PAGE_SIZE:#x}"
                )
            self._known = first, data
        offset, size, flags, _ = _DESC.unpack_from(data, (index - first) * PAGE_DESC_SIZE)
        return offset, size, flags

    def _error(self, index: int, number: int, what: str) -> EvidenceError:
        at = self._descriptors + index * PAGE_DESC_SIZE
        return EvidenceError(f"{self.name}: offset {at:#x}: page {number * PAGE_SIZE:#x}{what}")


def _header(content: ByteSource) -> c_kdump.disk_dump_header:
    name = content.name
    header = c_kdump.disk_dump_header(content.read(0, HEADER_SIZE, "header"))
    machine = _text(header.utsname.machine)
    if header.block_size == int.from_bytes(PAGE_SIZE.to_bytes(4, "big"), "little"):
        raise EvidenceError(f"{name}: foreign: little-endian, from {machine}; not of s390x")
    if machine.lower() not in (_MACHINE, *_NO_MACHINE):
        raise EvidenceError(f"{name}: foreign: utsname.machine is {machine}, not s390x")
    if header.block_size != PAGE_SIZE:
        raise EvidenceError(f"{name}: block_size is {header.block_size}, not {PAGE_SIZE}")
    for method in _PACKAGES:
        if header.status & method and (lacking := _lacking(method)):
            raise HostError(
                f"{name}: {lacking}",
                hint=f"pip install {_PACKAGES[method][1]}, or pack it anew: makedumpfile -c (zlib)",
            )
    return header


def _sub_header(content: ByteSource, header: c_kdump.disk_dump_header) -> c_kdump.kdump_sub_header:
    """Fields that ``header_version`` does not have yet are 0."""
    sub = c_kdump.kdump_sub_header(content.read(PAGE_SIZE, SUB_HEADER_SIZE, "sub header"))
    version = header.header_version
    if version < VERSION_SPLIT:
        sub.split = 0
    if version < VERSION_VMCOREINFO:
        sub.offset_vmcoreinfo = sub.size_vmcoreinfo = 0
    if version < VERSION_NOTE:
        sub.offset_note = sub.size_note = 0
    if version < VERSION_64:
        sub.max_mapnr_64 = 0
    if sub.split:
        raise EvidenceError(
            f"{content.name}: is one of the parts of makedumpfile --split: put them together "
            "first, with makedumpfile --reassemble"
        )
    return sub


def _lacking(method: int) -> str | None:
    """What unpacks pages of ``method`` and is not installed; None if all is there."""
    form, package = _PACKAGES.get(method, ("", ""))
    if not package or find_spec(package):
        return None
    return f"compressed with {form}: the Python package {package} is not installed"


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", errors="backslashreplace")
