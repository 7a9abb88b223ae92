"""Count a dump's pages that are zero, and those that occur more than once."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator

from harness.dump.formats.page_runs import PagedDump
from harness.dump.reader import Dump
from harness.inspect.compare import Layers, is_left_out
from harness.progress import Progress
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify.differing import CHUNK, Piece, pieces
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "content", "pages"
_SLOTS = 1 << 20  # checksums that are remembered, in 4 MiB
_ZERO_CHUNK, _ZERO_PAGE = bytes(CHUNK), bytes(PAGE_SIZE)


def check(dump: Dump, progress: Progress) -> CheckResult:
    """Memory of a real system is not all zero, and not one page repeated.

    Repeated pages are recognised by their checksum. Only a limited number of checksums is kept, so
    there may be more repeated pages.
    """
    once = Layers.of(dump).once
    if not isinstance(dump, PagedDump):  # of which all pages are in the file
        once = [piece for piece in once if not is_left_out(piece.memory)]
    total = sum(end - start for start, end, _ in once)
    count = sum(-(-end // PAGE_SIZE) - start // PAGE_SIZE for start, end, _ in once)
    nonzero = repeated = done = 0
    seen = array("I", bytes(4 * _SLOTS))
    with progress.task("look at the pages", total, "B") as task:
        for piece in once:
            for start, end in _pages_with_data(piece):
                for at, upto in pieces(start, end, CHUNK):
                    for page in _nonzero(piece.memory.read(at, upto - at), at):
                        nonzero += 1
                        checksum = zlib.crc32(page)
                        repeated += seen[checksum % _SLOTS] == checksum
                        seen[checksum % _SLOTS] = checksum
                    task.update(done + upto - piece.start)
            done += piece.end - piece.start
    findings = []
    if not nonzero:
        message = f"all {count} pages are zero"
        findings.append(Finding(CHECK, FindingKind.PAGES_ALL_ZERO, message))
    elif nonzero > 1 and repeated == nonzero - 1:
        message = f"all {nonzero} pages that are not zero are the same"
        findings.append(Finding(CHECK, FindingKind.PAGES_ALL_SAME, message))
    notes = (
        f"{count - nonzero} pages are zero ({_percent(count - nonzero, count)})",
        f"at least {repeated} pages repeat another ({_percent(repeated, count)})",
    )
    return CheckResult(CHECK, count, UNIT, tuple(findings), notes=notes)


def _pages_with_data(piece: Piece) -> Iterator[tuple[int, int]]:
    """The whole pages of a piece that have data; each once, even if its data is in parts."""
    begin = upto = piece.start
    for start, end in piece.memory.data_ranges(piece.start, piece.end):
        first, last = (
            max(piece.start, start - start % PAGE_SIZE),
            min(piece.end, -(-end // PAGE_SIZE) * PAGE_SIZE),
        )
        if first > upto:
            if begin < upto:
                yield begin, upto
            begin = first
        upto = max(upto, last)
    if begin < upto:
        yield begin, upto


def _nonzero(chunk: bytes, address: int) -> Iterator[bytes]:
    if chunk == _ZERO_CHUNK[: len(chunk)]:
        return
    for start, end in pieces(address, address + len(chunk), PAGE_SIZE):
        page = chunk[start - address : end - address]
        if page != _ZERO_PAGE[: len(page)]:
            yield page


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
