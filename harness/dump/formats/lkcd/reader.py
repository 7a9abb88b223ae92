"""Reader of LKCD dumps, version 8, as zfcpdump 2 wrote them: a header, then page after page.

Each page has a header of its own, and may be compressed. Pages ascend; a missing page was not in
the machine. The place of a page depends on the headers before it. So all headers are read once,
unless no page is missing and none is compressed.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from harness.dump.byte_source import ByteSource
from harness.dump.formats.lkcd.c_lkcd import (
    DF_LKCD_COMPRESS_GZIP,
    DF_LKCD_COMPRESS_NONE,
    DF_LKCD_DH_COMPRESSED,
    DF_LKCD_DH_END,
    DF_LKCD_DH_RAW,
    DF_LKCD_HDR_SIZE,
    DF_LKCD_MAGIC_ASM,
    DF_LKCD_VERSION,
    HDR_ASM_SIZE,
    HDR_SIZE,
    MAX_CPUS,
    PG_HDR_SIZE,
    ZFCPDUMP_END,
    c_lkcd,
)
from harness.dump.formats.packed import unzlib
from harness.dump.formats.page_runs import PagedDump, PagedMemory, PageRuns, RunSegments
from harness.errors import EvidenceError
from harness.limits import page_runs_for
from harness.s390x.cpu import CpuState
from harness.s390x.lowcore import PAGE_SIZE, STATUS_AREA, STATUS_AREA_SIZE
from harness.s390x.storestatus import cpu_state

_LARGEST = 1 << 63  # bytes of memory
_STRIDE = PG_HDR_SIZE + PAGE_SIZE  # of a page that is not compressed
_EVERY = 16  # the place of each 16th page is kept
_WINDOW = 1 << 14  # bytes read at once in search of headers
_PG_HDR = struct.Struct(">QII")  # df_lkcd_pg_hdr: fast enough for millions of them


class _PageHeader(NamedTuple):
    at: int
    addr: int
    size: int
    flags: int


class LkcdDump(PagedDump):
    """An LKCD dump in ``content``."""

    format = "lkcd"

    def __init__(self, content: ByteSource) -> None:
        self.content, self.name = content, content.name
        self._header = _header(content)
        self._asm = _header_asm(content, self._header)
        self._pages = _Pages(content, self._header)
        self.segments = RunSegments(self._pages.runs, self._pages)

    @property
    def cpus(self) -> tuple[CpuState, ...]:
        """From their lowcores, without vector registers; empty without an s390 header."""
        if self._asm is None:
            return ()
        prefixes = self._asm.lc_vec[: self._asm.cpu_cnt]
        return tuple(
            cpu_state(self.read(prefix + STATUS_AREA, STATUS_AREA_SIZE)) for prefix in prefixes
        )

    @property
    def length(self) -> int:
        return self._pages.end

    @property
    def facts(self) -> Mapping[str, object]:
        header, asm = self._header, self._asm
        names = ("version", "dump_level", "mem_size", "mem_start", "mem_end", "num_dump_pgs")
        cpus = {"cpu_cnt": asm.cpu_cnt, "real_cpu_cnt": asm.real_cpu_cnt} if asm else {}
        return {
            **{name: getattr(header, name) for name in names},
            "panic_string": _text(header.panic_string),
            "time_tv_sec": header.time_tv_sec,
            "utsname_release": _text(header.utsname_release),
            "dump_compress": header.dump_compress,
            **cpus,
        }

    @property
    def incomplete(self) -> str | None:
        return self._pages.incomplete

    @property
    def missing(self) -> int:
        """Bytes behind the last page of an incomplete dump; holes cannot be counted."""
        return self._header.mem_end - self._pages.present_end if self.incomplete else 0


class _Pages(PagedMemory):
    """``end`` is the offset behind the end marker, or the offset where it should be."""

    def __init__(self, content: ByteSource, header: c_lkcd.df_lkcd_hdr) -> None:
        pages = header.mem_end // PAGE_SIZE
        super().__init__(content, pages)
        self.runs = PageRuns(content.name, page_runs_for(content.size))
        self.incomplete: str | None = None
        self._full = _is_full(content, header)
        self._kept, self._at = array("Q"), array("Q")  # each _EVERY-th page and its offset
        if self._full:
            self.runs.add(0, pages)
            self.end = DF_LKCD_HDR_SIZE + pages * _STRIDE + PG_HDR_SIZE
        else:
            self.end = self._scan(header.mem_end)

    @property
    def present_end(self) -> int:
        """The first address behind the last page."""
        return self.runs[len(self.runs) - 1][1] * PAGE_SIZE if len(self.runs) else 0

    def page(self, number: int) -> bytes:
        header = self._find(number)
        what = f"page {number * PAGE_SIZE:#x}"
        data = self._content.read(header.at + PG_HDR_SIZE, header.size, what)
        if header.flags == DF_LKCD_DH_RAW:
            return data
        try:
            return unzlib(data, PAGE_SIZE)
        except ValueError as error:
            raise EvidenceError(
                f"{self.name}: offset {header.at:#x}: {what} is damaged: {error}"
            ) from error

    def _find(self, number: int) -> _PageHeader:
        if self._full:
            start = DF_LKCD_HDR_SIZE + number * _STRIDE
        else:
            start = self._at[bisect_right(self._kept, number) - 1]
        for header in islice(_page_headers(self._content, start), 1 if self._full else _EVERY):
            if header.addr == number * PAGE_SIZE and _is_page(header):
                return header
        raise EvidenceError(
            f"{self.name}: offset {start:#x}: the header of page {number * PAGE_SIZE:#x} is not "
            "there"
        )

    def _scan(self, mem_end: int) -> int:
        """Go through all page headers; returns ``end``."""
        end, last = DF_LKCD_HDR_SIZE, -1
        for header in _page_headers(self._content, end):
            if _is_end(header, last):
                return header.at + PG_HDR_SIZE
            if not _is_page(header) or not last < header.addr < mem_end or header.addr % PAGE_SIZE:
                self.incomplete = (
                    f"no page and no end marker at offset {header.at:#x}: addr is "
                    f"{header.addr:#x}, size {header.size}, flags {header.flags:#x}"
                )
                return end
            if header.at + PG_HDR_SIZE + header.size > self._content.size:
                break
            number, last = header.addr // PAGE_SIZE, header.addr
            if self.runs.count % _EVERY == 0:
                self._kept.append(number)
                self._at.append(header.at)
            self.runs.add(number, number + 1)
            end = header.at + PG_HDR_SIZE + header.size
        self.incomplete = f"the file ends at offset {self._content.size:#x}, without an end marker"
        return end


def _page_headers(content: ByteSource, at: int) -> Iterator[_PageHeader]:
    """The bytes at the places of page headers, until the file has no room for another."""
    window, window_at = b"", at
    while True:
        if at + PG_HDR_SIZE > window_at + len(window):
            window, window_at = content.upto(at, _WINDOW), at
            if len(window) < PG_HDR_SIZE:
                return
        header = _PageHeader(at, *_PG_HDR.unpack_from(window, at - window_at))
        yield header
        at += PG_HDR_SIZE + header.size


def _is_page(header: _PageHeader) -> bool:
    if header.flags == DF_LKCD_DH_RAW:
        return header.size == PAGE_SIZE
    return header.flags == DF_LKCD_DH_COMPRESSED and 0 < header.size <= PAGE_SIZE


def _is_end(header: _PageHeader, last: int) -> bool:
    """Some writers used another marker; vmconvert repeated the last page (dfi_lkcd.c)."""
    return bool(header.flags & DF_LKCD_DH_END or header[1:] == ZFCPDUMP_END or header.addr == last)


def _is_full(content: ByteSource, header: c_lkcd.df_lkcd_hdr) -> bool:
    """Whether no page is missing and none is compressed.

    Pages ascend. So if a page is at its offset in a full dump, no page before it is missing.
    """
    pages = header.mem_end // PAGE_SIZE
    if header.dump_compress != DF_LKCD_COMPRESS_NONE or pages == 0:
        return False
    at = DF_LKCD_HDR_SIZE + (pages - 1) * _STRIDE
    if at > content.size:
        return False
    last, end = (*islice(_page_headers(content, at), 2), None, None)[:2]
    if last is None or end is None or not _is_end(end, last.addr):
        return False
    return last.addr == (pages - 1) * PAGE_SIZE and last.flags == DF_LKCD_DH_RAW and _is_page(last)


def _header(content: ByteSource) -> c_lkcd.df_lkcd_hdr:
    name = content.name
    header = c_lkcd.df_lkcd_hdr(content.read(0, HDR_SIZE, "header"))
    machine = _text(header.utsname_machine)
    for field, found, wanted in (
        ("version", header.version, (DF_LKCD_VERSION,)),
        ("page_size", header.page_size, (PAGE_SIZE,)),
        ("utsname_machine", machine, ("s390x",)),
        ("dump_compress", header.dump_compress, (DF_LKCD_COMPRESS_NONE, DF_LKCD_COMPRESS_GZIP)),
    ):
        if found not in wanted:
            raise EvidenceError(f"{name}: {field} is {found}, not {' or '.join(map(str, wanted))}")
    if header.mem_end > _LARGEST:
        raise EvidenceError(f"{name}: mem_end is {header.mem_end:#x}")
    return header


def _header_asm(content: ByteSource, header: c_lkcd.df_lkcd_hdr) -> c_lkcd.df_lkcd_hdr_asm | None:
    """The s390 header behind the main header; None in an old dump without it."""
    if header.hdr_size + HDR_ASM_SIZE > DF_LKCD_HDR_SIZE:
        raise EvidenceError(f"{content.name}: hdr_size is {header.hdr_size}")
    asm = c_lkcd.df_lkcd_hdr_asm(content.read(header.hdr_size, HDR_ASM_SIZE, "s390 header"))
    if asm.magic != DF_LKCD_MAGIC_ASM:
        return None
    if asm.cpu_cnt > MAX_CPUS:
        raise EvidenceError(f"{content.name}: cpu_cnt is {asm.cpu_cnt}, more than {MAX_CPUS}")
    return asm


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("ascii", errors="backslashreplace")
