"""Reader of s390 stand-alone dumps in the extended form: segments of memory that is not zero.

References: s390-tools ``zdump/dfi_s390.c`` (mem_chunks_add_ext and the decompression, commit
9f9dddddd41a) and ``zipl/boot/eckd2dump_zlib.c`` (write_compressed_dump_segment).
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from harness.dump.byte_source import ByteSource
from harness.dump.formats.s390.c_s390 import (
    BLOCK,
    DF_S390_EM_STR,
    DF_S390_HDR_SIZE,
    DUMP_SEGM_ENTRY_UNCOMPRESSED,
    DUMP_SEGM_ZLIB_MAXENTS,
    ENTRY_OFFSET,
    OTHER_BLOCKS,
    SEGM_HDR_SIZE,
    c_s390,
)
from harness.dump.formats.s390.reader import S390Dump
from harness.errors import EvidenceError
from harness.limits import limits, require

MAX_SEGMENTS = 1 << 18  # every other MiB of 512 GiB
_CACHED_ENTRIES = 4


class Stored(NamedTuple):
    """One segment: ``size`` bytes of memory from ``start`` on; its data begin at ``offset``.

    ``size_on_disk`` is in bytes, without headers. ``entries`` counts compressed entries, 0 if the
    segment is raw.
    """

    start: int
    size: int
    offset: int
    size_on_disk: int
    entries: int

    @property
    def end(self) -> int:
        """The first absolute address behind the segment."""
        return self.start + self.size


class S390ExtDump(S390Dump):
    """An extended s390 dump in ``content``; its segment headers are read at once."""

    format = "s390_ext"
    lc_vec_version = 0

    def _memory(self) -> ByteSource:
        self.memory = ExtendedMemory(self.content, self.header)
        return self.memory

    @property
    def facts(self) -> Mapping[str, object]:
        """Also the block size that was detected, under zgetdump's name."""
        block = self.memory.block
        return super().facts if block is None else {**super().facts, "blk_size": block}

    @property
    def end_marker_at(self) -> int:
        """Offset after the last segment that was found."""
        return self.memory.next_offset

    @property
    def incomplete(self) -> str | None:
        """The last segment must have the stop marker, and the end marker must follow it."""
        if not self.memory.complete:
            return (
                f"no last segment (stop_marker): offset {self.memory.next_offset:#x} holds no "
                "segment that could follow"
            )
        return super().incomplete


class ExtendedMemory(ByteSource):
    """The memory of the segments, with zeros between them.

    Its size is the size that the header describes, or less if segments at the end are missing.
    """

    def __init__(self, content: ByteSource, header: c_s390.df_s390_hdr) -> None:
        self._content, self.name = content, content.name
        self._memory_end, self._entry_size = header.mem_size, _entry_size(content, header)
        self._read_all_headers()
        self._starts = [segment.start for segment in self._segments]
        self.size = self._memory_end if self.complete else 0
        if self._segments and (not self.complete or self.next_offset > content.size):
            self.size = self._present_end(self._segments[-1])
        self._entry = lru_cache(_CACHED_ENTRIES)(self._decompress)

    @property
    def next_offset(self) -> int:
        """Offset behind the last segment."""
        if not self._segments:
            return DF_S390_HDR_SIZE
        return self._segments[-1].offset + self._segments[-1].size_on_disk

    @property
    def block(self) -> int | None:
        """Bytes of a disk block, the unit of sizes; None if nothing is compressed."""
        return self._block if any(segment.entries for segment in self._segments) else None

    def close(self) -> None:
        self._content.close()

    def upto(self, at: int, size: int) -> bytes:
        parts, end = [], min(at + size, self.size)
        while at < end:
            number = bisect_right(self._starts, at) - 1
            if number >= 0 and at < self._segments[number].end:
                data = self._from_segment(number, at, end)
                if not data:
                    break
            else:
                following = self._starts[number + 1 : number + 2] or [end]
                data = bytes(min(following[0], end) - at)
            parts.append(data)
            at += len(data)
        return b"".join(parts)

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        stop = self.size if end is None else min(end, self.size)
        first = max(0, bisect_right(self._starts, start) - 1)
        for segment in self._segments[first:]:
            low, high = max(start, segment.start), min(stop, segment.end)
            if low >= high:
                continue
            if segment.entries:
                yield low, high - low
                continue
            shift = segment.offset - segment.start  # a raw segment may have holes in the file
            for at, size in self._content.data_extents(low + shift, high + shift):
                yield at - shift, size

    def _read_all_headers(self) -> None:
        """Sets ``complete``: whether the last segment was found.

        zgetdump asks the disk for its block size (BLKSSZGET). In a copy it is not known, so each
        size is tried. With the right one the end marker follows the last segment. Otherwise the
        one with the most segments is used.
        """
        found: dict[int, tuple[bool, list[Stored]]] = {}
        for block in (BLOCK, *OTHER_BLOCKS):
            self._block = block
            self._segments: list[Stored] = []
            self.complete = self._read_headers()
            if self.complete and self._content.upto(self.next_offset, 8) == DF_S390_EM_STR:
                return
            found[block] = self.complete, self._segments
        self._block = max(found, key=lambda block: len(found[block][1]))
        self.complete, self._segments = found[self._block]

    def _read_headers(self) -> bool:
        """Whether the last segment was found."""
        while len(self._segments) < MAX_SEGMENTS:
            at = self.next_offset
            data = self._content.upto(at, len(c_s390.df_s390_dump_segm_hdr))
            if len(data) < len(c_s390.df_s390_dump_segm_hdr):
                return False
            header = c_s390.df_s390_dump_segm_hdr(data)
            segment = self._segment(header, at + SEGM_HDR_SIZE)
            if segment is None:
                return False
            self._segments.append(segment)
            if header.stop_marker:
                return True
            if segment.offset + segment.size_on_disk > self._content.size:
                return False
        raise EvidenceError(f"{self.name}: more than {MAX_SEGMENTS} segments")

    def _segment(self, header: c_s390.df_s390_dump_segm_hdr, offset: int) -> Stored | None:
        """The segment that the header describes; None if it cannot be the next segment."""
        start, size = header.start, header.len
        if not size and not header.stop_marker:  # empty and last: all memory is zero
            return None
        known = self._segments[-1].end if self._segments else 0
        if start < known or start + size > self._memory_end:
            return None
        if not header.size_on_disk:
            return Stored(start, size, offset, size, 0)
        if not self._entry_size or header.entry_count != -(-size // self._entry_size):
            return None
        if header.entry_count > DUMP_SEGM_ZLIB_MAXENTS:
            return None
        return Stored(start, size, offset, header.size_on_disk * self._block, header.entry_count)

    def _present_end(self, segment: Stored) -> int:
        """The first address of a segment, perhaps truncated, whose content is not in the file."""
        room = self._content.size - segment.offset
        if room >= segment.size_on_disk:
            return segment.end
        if not segment.entries:
            return segment.start + max(0, room)
        for entry in range(segment.entries):
            try:
                offset, size, _ = self._place(segment, entry)
            except EvidenceError:
                offset, size = self._content.size, 1
            if offset + size > self._content.size:
                return segment.start + entry * self._entry_size
        return segment.end

    def _from_segment(self, number: int, at: int, end: int) -> bytes:
        """Memory from ``at`` on, up to the end of the segment or of its entry."""
        segment = self._segments[number]
        if not segment.entries:
            return self._content.upto(
                segment.offset + at - segment.start, min(end, segment.end) - at
            )
        entry, skip = divmod(at - segment.start, self._entry_size)
        return self._entry(number, entry)[skip : skip + end - at]

    def _decompress(self, number: int, entry: int) -> bytes:
        segment = self._segments[number]
        offset, on_disk, raw = self._place(segment, entry)
        size = min(self._entry_size, segment.size - entry * self._entry_size)
        data = self._content.read(offset, on_disk, "entry of a segment")
        if raw:
            if on_disk < size:
                raise EvidenceError(
                    f"{self.name}: raw entry at offset {offset:#x} has {on_disk} of {size} bytes"
                )
            return data[:size]
        inflater = zlib.decompressobj()
        try:
            memory = inflater.decompress(data, size)
            surplus = inflater.decompress(inflater.unconsumed_tail, 1)
        except zlib.error as error:
            raise EvidenceError(f"{self.name}: entry at offset {offset:#x}: {error}") from error
        if len(memory) != size or surplus or not inflater.eof:
            raise EvidenceError(
                f"{self.name}: entry at offset {offset:#x} is not {size} bytes, compressed"
            )
        return memory

    def _place(self, segment: Stored, entry: int) -> tuple[int, int, bool]:
        """(offset, bytes on disk, whether it is raw) of one entry of a segment.

        Raises EvidenceError if it is not within its segment.
        """
        at = segment.offset - SEGM_HDR_SIZE + ENTRY_OFFSET + 4 * entry
        last = entry == segment.entries - 1
        values = struct.unpack(
            f">{1 if last else 2}I", self._content.read(at, 4 if last else 8, "entry_offset")
        )
        blocks = [value & ~DUMP_SEGM_ENTRY_UNCOMPRESSED for value in values]
        start = blocks[0] * self._block
        stop = segment.size_on_disk if last else blocks[1] * self._block
        # an entry that cannot be compressed is only a little larger than raw
        if not start < stop <= min(segment.size_on_disk, start + 2 * self._entry_size):
            raise EvidenceError(
                f"{self.name}: offset {at:#x}: entry_offset says that entry {entry} is from "
                f"{start:#x} to {stop:#x} of its segment's {segment.size_on_disk:#x} bytes"
            )
        return segment.offset + start, stop - start, bool(values[0] & DUMP_SEGM_ENTRY_UNCOMPRESSED)


def _entry_size(content: ByteSource, header: c_s390.df_s390_hdr) -> int:
    """Bytes of memory in a compressed entry; 0 if the dump has no such entries."""
    size = header.zlib_entry_size if header.zlib_version_s390 else 0
    if size % BLOCK:
        raise EvidenceError(
            f"{content.name}: offset 0x62: zlib_entry_size is {size}, not a multiple of {BLOCK}"
        )
    require(content.name, "bytes in an entry (zlib_entry_size)", size, limits().s390_entry)
    return size
