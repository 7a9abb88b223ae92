"""Writers of s390 stand-alone dumps, plain and extended.

References: s390-tools ``zdump/dfo_s390.c`` (header, registers into the lowcores),
``zipl/boot/stage2dump.c`` (find_dump_segment), ``zipl/boot/eckd2dump_zlib.c`` (segments of
compressed entries).
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from harness.dump.formats.s390.c_s390 import (
    DF_S390_ARCH_64,
    DF_S390_CPU_MAX,
    DF_S390_EM_STR,
    DF_S390_HDR_SIZE,
    DF_S390_MAGIC,
    DF_S390_MAGIC_EXT,
    DUMP_SEGM_ENTRY_UNCOMPRESSED,
    DUMP_SEGM_ZLIB_ENTSIZE,
    DUMP_SEGM_ZLIB_MAXENTS,
    LC_VEC_VERSION,
    SECTOR,
    SEGM_HDR_SIZE,
    c_s390,
)
from harness.dump.formats.s390.reader import S390Dump
from harness.dump.formats.s390.registers import Patch, kept_cpus, register_patches
from harness.dump.reader import Dump, Range
from harness.dump.sparse_writer import SparseFile
from harness.errors import EvidenceError
from harness.progress import Task
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE

MIB = DUMP_SEGM_ZLIB_ENTSIZE
STOP_MARKER = (1 << 64) - 1
_DUMP_LEVEL = 4  # "all memory"; every tool writes it
_EXT_VERSION = 2  # the one with compressed entries
_ZLIB_VERSION = 1
_ZLIB_LEVEL = 1  # as in zipl's dump tool
_FROM_OTHER = ("tod", "cpu_id", "build_arch", "mem_size_real", "real_cpu_cnt")


def write_s390(dump: Dump, target: Path, task: Task) -> None:
    """Write ``dump`` in the plain form, with a hole for every zero page.

    If ``dump`` is an s390 dump, its header's facts about machine and time are copied. Raises
    EvidenceError if the dump cannot be read or its registers cannot be kept, HostError if the
    target cannot be written; the target is then removed.
    """
    cpus, end = _kept(dump), _memory_end(dump)
    patches = register_patches(dump, cpus, end)
    header = _header(dump, cpus, end)
    header.magic, header.version = DF_S390_MAGIC, LC_VEC_VERSION
    with SparseFile.create(target, DF_S390_HDR_SIZE + end) as file:
        file.write(0, header.dumps())
        for address, block in memory_blocks(dump, patches, end):
            file.write(DF_S390_HDR_SIZE + address, block)
            task.update(address)
        file.write(DF_S390_HDR_SIZE + end, _end_marker(dump, header))
        task.update(end)


def write_s390_ext(dump: Dump, target: Path, task: Task) -> None:
    """Write ``dump`` in the extended form: every MiB that is not zero, compressed if that helps.

    Sizes are in sectors of a SCSI disk, because zgetdump uses the block size of the disk that has
    the dump. Everything else is as in :func:`write_s390`.
    """
    cpus, end = _kept(dump), _memory_end(dump)
    patches = register_patches(dump, cpus, end)
    header = _header(dump, cpus, end)
    header.magic, header.version = DF_S390_MAGIC_EXT, _EXT_VERSION
    header.zlib_version_s390, header.zlib_entry_size = _ZLIB_VERSION, DUMP_SEGM_ZLIB_ENTSIZE
    with SparseFile.create(target, 0) as file:
        file.write(0, header.dumps())
        segment = _SegmentWriter(file, DF_S390_HDR_SIZE)
        for address, block in memory_blocks(dump, patches, end):
            if block.count(0) == len(block):
                continue
            if not segment.takes(address):
                segment.finish(stop_marker=0)
                segment = _SegmentWriter(file, segment.offset)
            segment.add(address, block)
            task.update(address)
        segment.finish(STOP_MARKER)
        file.write(segment.offset, _end_marker(dump, header))
        task.update(end)


def memory_blocks(dump: Dump, patches: Sequence[Patch], end: int) -> Iterator[tuple[int, bytes]]:
    """(address, content) of each aligned MiB up to ``end`` that may not be zero; ascending.

    The patches are applied; memory that the dump does not have is zero.
    """
    pieces = (_Piece(*part, None) for part in _split(dump.data_ranges()))
    changes = (
        _Piece(patch.address, patch.address + len(patch.data), patch.data)
        for patch in sorted(patches)
    )
    merged = heapq.merge(pieces, changes, key=_number)  # of one block, patches come last
    for number, group in groupby(merged, key=_number):
        base = number * MIB
        block = bytearray(min(MIB, end - base))
        for start, stop, data in group:
            block[start - base : stop - base] = data or dump.read(start, stop - start)
        yield base, bytes(block)


class _Piece(NamedTuple):
    """Memory within one MiB; ``data`` is None if the dump has it."""

    start: int
    end: int
    data: bytes | None


def _number(piece: _Piece) -> int:
    return piece.start // MIB


def _split(ranges: Iterator[Range]) -> Iterator[Range]:
    for start, end in ranges:
        for at in range(start - start % MIB, end, MIB):
            yield Range(max(start, at), min(end, at + MIB))


class _SegmentWriter:
    """Writes one segment; ``offset`` is the current offset in the file."""

    def __init__(self, file: SparseFile, offset: int) -> None:
        self._file, self._header_at = file, offset
        self._data_at = self.offset = offset + SEGM_HDR_SIZE
        self._start = self._end = 0
        self._entries: list[int] = []

    def takes(self, address: int) -> bool:
        """Whether memory at ``address`` would continue it."""
        return not self._entries or (
            address == self._end and len(self._entries) < DUMP_SEGM_ZLIB_MAXENTS
        )

    def add(self, address: int, block: bytes) -> None:
        if not self._entries:
            self._start = address
        entry = (self.offset - self._data_at) // SECTOR
        data = zlib.compress(block, _ZLIB_LEVEL)
        if len(data) >= len(block):
            data, entry = block, entry | DUMP_SEGM_ENTRY_UNCOMPRESSED
        self._file.write(self.offset, data)
        self.offset += -(-len(data) // SECTOR) * SECTOR
        self._entries.append(entry)
        self._end = address + len(block)

    def finish(self, stop_marker: int) -> None:
        """Write the header with the offsets of the entries."""
        header = c_s390.df_s390_dump_segm_hdr(
            start=self._start,
            len=self._end - self._start,
            stop_marker=stop_marker,
            size_on_disk=(self.offset - self._data_at) // SECTOR,
            entry_count=len(self._entries),
        )
        offsets = struct.pack(f">{len(self._entries)}I", *self._entries)
        self._file.write(self._header_at, (header.dumps() + offsets).ljust(SEGM_HDR_SIZE, b"\0"))


def _kept(dump: Dump) -> tuple[CpuState, ...]:
    cpus = kept_cpus(dump)
    if len(cpus) > DF_S390_CPU_MAX:
        raise EvidenceError(
            f"{dump.name}: {len(cpus)} CPUs, an s390 dump has room for {DF_S390_CPU_MAX}"
        )
    return cpus


def _memory_end(dump: Dump) -> int:
    """The end of all memory, in bytes, rounded to whole pages."""
    end = max((part.end for part in dump.memory_map), default=0)
    return -(-end // PAGE_SIZE) * PAGE_SIZE


def _header(dump: Dump, cpus: Sequence[CpuState], end: int) -> c_s390.df_s390_hdr:
    """The fields that plain and extended dumps have in common."""
    header = c_s390.df_s390_hdr(
        hdr_size=DF_S390_HDR_SIZE,
        dump_level=_DUMP_LEVEL,
        page_size=PAGE_SIZE,
        mem_size=end,
        mem_end=end,
        num_pages=end // PAGE_SIZE % (1 << 32),
        arch=DF_S390_ARCH_64,
        build_arch=DF_S390_ARCH_64,
        mem_size_real=end if dump.limited is None else dump.limited.end,
        cpu_cnt=len(cpus),
        real_cpu_cnt=len(dump.cpus),
        lc_vec=[cpu.prefix for cpu in cpus] + [0] * (DF_S390_CPU_MAX - len(cpus)),
    )
    if isinstance(dump, S390Dump):
        for name in _FROM_OTHER:
            setattr(header, name, getattr(dump.header, name))
    return header


def _end_marker(dump: Dump, header: c_s390.df_s390_hdr) -> bytes:
    """A whole sector: a block device has no part of one, and zgetdump reads dumps from a device."""
    end_tod = dump.end_tod if isinstance(dump, S390Dump) else None
    tod = header.tod if end_tod is None else end_tod
    return c_s390.df_s390_em(str=DF_S390_EM_STR, tod=tod).dumps().ljust(SECTOR, b"\0")
