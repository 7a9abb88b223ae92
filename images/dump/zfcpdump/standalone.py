"""The s390 stand-alone dump formats: plain memory, or compressed in segments.

Sources: s390-tools include/dump/s390_dump.h (layout), zdump/dfi_s390.c (how zgetdump reads it),
zipl/boot/stage2dump.c and eckd2dump_zlib.c (how zipl's own dump tools write it).
"""

import mmap
import struct
import time
import zlib

from .machine import PAGE, SECTOR, DumpError, cpu_id
from .output import Stream, copy_range, is_zero
from .registers import Registers

MAGIC, MAGIC_EXTENDED = 0xA8190173618F23FD, 0xA8190173618F23FE
# magic, version, header size, dump level, page size, memory size, start, end, pages, pad, TOD,
# CPU id, architecture, volume, build architecture, real memory size, several volumes, CPUs,
# real CPUs, zlib version, size of a zlib entry
HEADER = struct.Struct(">QIIIIQQQIIQQIIIQBHHBI")
PREFIXES_AT = 0x800
CPU_LIMIT = 512
VERSION, VERSION_COMPRESSED = 5, 2
DUMP_LEVEL = 4
ARCH_64 = 2
ZLIB_VERSION = 1

END_MARKER = struct.Struct(">8sQ")  # text, TOD
END_TEXT = b"DUMP_END"

SEGMENT = struct.Struct(">QQQI20xI")  # start, length, stop marker, sectors on disk, entries
STOP = 0xFFFFFFFFFFFFFFFF
ENTRY = 1 << 20
PIECE = 256 << 10
ENTRY_RAW = 1 << 31
ENTRY_LIMIT = (PAGE - SEGMENT.size) // 4
LEVEL = 1  # higher levels take more time than the disk
WORTHWHILE = 7 / 8  # an entry whose first part does not become this small is stored uncompressed

TOD_OF_1970 = 0x7D91048BCA000000


def tod():
    """The TOD clock's value: 2 ** -12 microseconds since 1900."""
    return TOD_OF_1970 + (time.time_ns() // 1000 << 12)


class StandAlone:
    """A form (see output.copy): a header, memory from 0 on, and an end marker.

    The end marker has a sector of its own, because a block device has no part of a sector: of a
    file in a loop device, the rest that is no whole sector cannot be read.
    """

    header_values = (MAGIC, VERSION, 0, 0)

    def __init__(self, core):
        self.core, self.registers, self.tod = core, Registers(core), tod()
        if len(self.registers.prefixes) > CPU_LIMIT:
            raise DumpError(f"dump_format=s390 has room for {CPU_LIMIT} CPUs, there are more")
        self.memory_size = max((start + size for start, size, _ in core.memory()), default=0)
        self.size = PAGE + self.memory_size + SECTOR

    def parts(self, hsa_size):
        """(address, offset in the source, size); offset is None where there is no memory."""
        saved, rest, end = [], [], 0
        for address, size, offset in self.core.memory():
            if end < address:
                rest.append((end, None, address - end))
            end = address + size
            low = min(size, max(0, hsa_size - address))
            saved.append((address, offset, low))
            rest.append((address + low, offset + low, size - low))
        return [part for part in saved if part[-1]], [part for part in rest if part[-1]]

    def copy(self, part, writer, buffer, progress):
        address, offset, size = part
        if offset is None:
            self._fill(address, size, writer, progress)
            return
        target = PAGE + address
        copy_range(self.core.source, offset, size, writer, target, buffer, progress, self._change)

    def finish(self, writer):
        sector = mmap.mmap(-1, SECTOR)
        sector.write(self.end_marker())
        writer.write(memoryview(sector), PAGE + self.memory_size)

    def first_page(self):
        magic, version, zlib_version, entry_size = self.header_values
        prefixes = self.registers.prefixes
        page = bytearray(PAGE)
        HEADER.pack_into(
            page,
            0,
            *(magic, version, PAGE, DUMP_LEVEL, PAGE),
            *(self.memory_size, 0, self.memory_size, self.memory_size // PAGE, 0),
            *(self.tod, cpu_id(), ARCH_64, 0, ARCH_64),
            *(self.core.memory_end, 0, len(prefixes), len(prefixes), zlib_version, entry_size),
        )
        struct.pack_into(f">{len(prefixes)}I", page, PREFIXES_AT, *prefixes)
        return page

    def end_marker(self):
        return END_MARKER.pack(END_TEXT, max(self.tod, tod()))

    def _change(self, view, target):
        self.registers.store(view, target - PAGE)

    def _fill(self, address, size, writer, progress):
        zeros = memoryview(mmap.mmap(-1, PAGE * 16))
        for at in range(address, address + size, len(zeros)):
            view = zeros[: address + size - at]
            writer.write(view, PAGE + at)
            progress.add(len(view))


class Compressed(StandAlone):
    """A form: a header, segments of compressed memory, and an end marker.

    A segment is a header and entries of 1 MiB of memory; each entry begins at a sector. An entry of
    zeros is left out, and ends the segment.
    """

    header_values = (MAGIC_EXTENDED, VERSION_COMPRESSED, ZLIB_VERSION, ENTRY)

    def __init__(self, core):
        super().__init__(core)
        self.size = self.stream = self.segment = None

    def copy(self, part, writer, buffer, progress):
        address, offset, size = part
        self._begin(writer)
        if offset is None:
            progress.add(size)
            return
        for at in range(0, size, ENTRY):
            length = min(ENTRY, size - at)
            views = self._views(offset + at, length, buffer, offset + size)
            self._entry(address + at, length, views)
            progress.add(length)

    def finish(self, writer):
        self._begin(writer)
        if self.segment is None:  # all memory is zero
            self.segment = Segment(self.stream, 0)
        self.segment.write_header(STOP)
        self.stream.append(self.end_marker())
        self.stream.flush()
        self.size = self.stream.position

    def _views(self, offset, length, buffer, until):
        """Small ones: zlib and the entry's parts need memory beside the buffer."""
        for at in range(offset, offset + length, PIECE):
            size = min(PIECE, offset + length - at)
            yield from self.core.source.pieces(at, size, buffer, until)

    def _begin(self, writer):
        if self.stream is None:
            self.stream = Stream(writer, PAGE)

    def _entry(self, address, length, views):
        """``length`` bytes of memory from ``address`` on, in views."""
        zeros = 0
        for view in views:
            self.registers.store(view, address + zeros)
            if not is_zero(view):
                break
            zeros += len(view)
        else:
            return
        deflate = zlib.compressobj(LEVEL)
        packed = deflate.compress(bytes(zeros)) + deflate.compress(view)
        raw = len(packed) > WORTHWHILE * len(view)
        self._segment_for(address).begin_entry(length, raw)
        self.stream.append(bytes(zeros) + view if raw else packed)
        at = address + zeros + len(view)
        for view in views:
            self.registers.store(view, at)
            at += len(view)
            self.stream.append(view if raw else deflate.compress(view))
        if not raw:
            self.stream.append(deflate.flush())
        self.stream.flush()

    def _segment_for(self, address):
        if self.segment is None or not self.segment.takes(address):
            if self.segment is not None:
                self.segment.write_header(0)
            self.segment = Segment(self.stream, address)
        return self.segment


class Segment:
    """Memory from ``start`` on. The header's place is the stream's position; it is written last.

    Sizes and offsets are in sectors: zgetdump asks the disk for its block size.
    """

    def __init__(self, stream, start):
        self.stream, self.start, self.length = stream, start, 0
        self.entries = []
        self.header_at = stream.position
        stream.skip(PAGE)

    def takes(self, address):
        """Whether an entry for ``address`` may follow."""
        whole = self.length == len(self.entries) * ENTRY
        return whole and address == self.start + self.length and len(self.entries) < ENTRY_LIMIT

    def begin_entry(self, length, raw):
        self.entries.append(self._sectors() | (ENTRY_RAW if raw else 0))
        self.length += length

    def write_header(self, stop):
        page = mmap.mmap(-1, PAGE)
        count = len(self.entries)
        SEGMENT.pack_into(page, 0, self.start, self.length, stop, self._sectors(), count)
        struct.pack_into(f">{count}I", page, SEGMENT.size, *self.entries)
        self.stream.writer.write(memoryview(page), self.header_at)

    def _sectors(self):
        return (self.stream.position - self.header_at - PAGE) // self.stream.writer.sector
