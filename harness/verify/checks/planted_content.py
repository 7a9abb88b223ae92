"""Content that the crashed system planted before the crash must be in the dump, and right.

This is a second oracle, independent of the crash snapshot: what must be where follows from the
seed and from the dump itself. docs/content.md describes what is planted and how.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.verify.evidence import Evidence
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import NO_DETAILS, FindingKind, HsaSide, Page, PlantedFaults
from harness.verify.planted_layout import (
    HEADER_SIZE,
    MAGIC,
    NEXT_IS_ZERO,
    PAGE,
    Header,
    Kind,
    ledger_entries,
    listed_headers,
)

CHECK, UNIT = "content", "pages and messages"
DETAILED = 16  # findings one by one
SHOWN_RANGES = 16
SHOWN_BYTES = 8
CHUNK = 1 << 20  # bytes read at once

MIB = 1 << 20
FIRST_BOUNDARY = 16 * MIB  # the smallest HSA; larger ones have powers of two
SIDE = 2 * MIB  # the guest's limit for "close to a boundary"
NEAR = 16 * MIB  # the kernel's own pages may leave none nearer to this dump's boundary

COPIES_REASON = (
    "the page cache of a block device was written back (sync): the device, a RAM disk, has its own "
    "copy of each page in memory"
)

_LIMITED = "the scenario limits the dump: what it lacks on purpose cannot be told from what is lost"
_MAGIC = re.compile(re.escape(MAGIC))


class Found(NamedTuple):
    """An undamaged header, and its absolute address in the dump."""

    address: int
    header: Header


class Fault(NamedTuple):
    """Planted content that has changed, or content where none belongs.

    ``address`` is that of a planted page that is wrong, else None.
    """

    kind: FindingKind
    message: str
    address: int | None = None

    @classmethod
    def of_page(cls, address: int, message: str) -> Fault:
        return cls(FindingKind.PLANTED_PAGE_WRONG, message, address)

    @property
    def finding(self) -> Finding:
        details = NO_DETAILS if self.address is None else Page(self.address)
        return Finding(CHECK, self.kind, self.message, details)


@dataclass(frozen=True)
class Planted:
    """The content that must be in the dump; ``faults`` are those of the ledger.

    ``pages`` are by absolute address, None for a page that must be zero. ``messages`` are by
    index.
    """

    pages: Mapping[int, Header | None]
    messages: Mapping[int, Header]
    ledger: Mapping[int, Header]
    faults: tuple[Fault, ...]


def check(evidence: Evidence) -> CheckResult:
    """Check everything planted, from ``evidence.content_seed`` and the dump alone.

    Whole pages are compared at their own address; zeroed pages must be zero; messages are searched
    everywhere. Content in a wrong place is a finding, too. Pages must have been planted on both
    sides of the HSA's end, because there the dump is put together from two sources.
    """
    seed, dump = evidence.content_seed, evidence.dump
    if seed is None:
        return CheckResult.skipped(CHECK, UNIT, "the crashed system planted no content")
    if evidence.withheld is not None:
        return CheckResult.skipped(CHECK, UNIT, _LIMITED)
    if dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, f"no content compared: {evidence.dump_fault}"
        )
    try:
        return _prove(seed, dump, evidence.outcome.get("hsa_size"))
    except EvidenceError as error:
        message = f"the dump cannot be read: {error.message}"
        return CheckResult.failed(CHECK, UNIT, FindingKind.UNREADABLE, message)


def _prove(seed: int, dump: Dump, hsa_size: object) -> CheckResult:
    everything = list(_scan(dump))
    found = [item for item in everything if item.header.seed == seed]
    foreign = Counter(item.header.seed for item in everything if item.header.seed != seed)
    planted = _planted(found, dump, seed)
    strays = [item for item in found if _is_stray(item, planted)]
    copies = {item.address for item in strays if _is_written_back(item, planted, dump)}
    faults = [
        *planted.faults,
        *_page_faults(planted, dump),
        *_stray_faults(item for item in strays if item.address not in copies),
        *_message_faults(planted.messages, found, dump),
    ]
    findings = [
        Finding(
            CHECK,
            FindingKind.PLANTED_OF_OTHER_SEED,
            f"{number} pages and messages are of seed {other:#x}, not {seed:#x}",
        )
        for other, number in sorted(foreign.items())
    ]
    findings += _report(faults, planted)
    findings += _uncovered(planted.pages, hsa_size)
    compared = len(planted.pages) + len(planted.messages) + len(planted.ledger)
    allowed = (AllowedDifference(f"{len(copies)} pages", COPIES_REASON),) if copies else ()
    notes = tuple(_notes(planted, hsa_size))
    return CheckResult(CHECK, compared, UNIT, tuple(findings), allowed, notes=notes)


def _scan(dump: Dump) -> Iterator[Found]:
    """Every undamaged header in the dump, at any alignment; one in two PT_LOADs comes twice."""
    for segment in dump.segments:
        for start, end in segment.data_ranges(segment.paddr, segment.present_end):
            for at in range(start, end, CHUNK):
                # a header may begin in one piece and end in the next
                size = min(CHUNK, end - at)
                data = segment.read(at, size + HEADER_SIZE - 1)
                for match in _MAGIC.finditer(data, 0, size + len(MAGIC) - 1):
                    header = Header.parse(data[match.start() : match.start() + HEADER_SIZE])
                    if header is not None:
                        yield Found(at + match.start(), header)


def _copies(dump: Dump, address: int, size: int) -> list[bytes]:
    """The bytes of each PT_LOAD at ``address``; shorter than ``size`` if it or the file ends."""
    return [
        segment.read(address, size)
        for segment in dump.segments
        if segment.paddr <= address < segment.end
    ]


def _planted(found: Sequence[Found], dump: Dump, seed: int) -> Planted:
    """What the ledger lists; if the ledger is incomplete, what the headers in the dump tell."""
    ledger = {
        header.index: header
        for address, header in found
        if header.kind is Kind.LEDGER and header.address == address
    }
    faults = [*_ledger_faults(ledger, dump, seed)]
    if faults:
        return _planted_by_headers(found, ledger, faults)
    entries = [
        entry
        for _, header in sorted(ledger.items())
        for entry in ledger_entries(_copies(dump, header.address, PAGE)[0]) or ()
    ]
    headers = listed_headers(entries, seed)
    return Planted(
        {header.address: header for header in headers if header.kind is not Kind.MESSAGE},
        {header.index: header for header in headers if header.kind is Kind.MESSAGE},
        ledger,
        (),
    )


def _ledger_faults(ledger: Mapping[int, Header], dump: Dump, seed: int) -> Iterator[Fault]:
    if not ledger:
        message = f"the dump has no ledger of content of seed {seed:#x}"
        yield Fault(FindingKind.PLANTED_LOST, message)
        return
    total = max(header.total for header in ledger.values())
    if lost := sorted(set(range(total)) - set(ledger)):
        message = f"ledger pages {_numbers(lost)} of {total} are lost"
        yield Fault(FindingKind.PLANTED_LOST, message)
    for header in ledger.values():
        if any(ledger_entries(page) is None for page in _copies(dump, header.address, PAGE)):
            message = f"page {header.address:#x}, {header.title}, is damaged"
            yield Fault.of_page(header.address, message)


def _planted_by_headers(
    found: Sequence[Found], ledger: Mapping[int, Header], faults: Iterable[Fault]
) -> Planted:
    """Planted content by its headers alone; content that lost its header has no address."""
    pages: dict[int, Header | None] = {}
    for address, header in found:
        if header.kind not in (Kind.MESSAGE, Kind.LEDGER) and header.address == address:
            pages[address] = header
            if header.flags & NEXT_IS_ZERO:
                pages.setdefault(address + PAGE, None)
    messages = {
        item.header.index: item.header for item in found if item.header.kind is Kind.MESSAGE
    }
    known = [header for header in pages.values() if header is not None]
    return Planted(pages, messages, ledger, (*faults, *_lost_faults([*known, *messages.values()])))


def _lost_faults(headers: Iterable[Header]) -> Iterator[Fault]:
    """The missing numbers of each kind; every header tells the total of its kind."""
    kinds: dict[Kind, list[Header]] = defaultdict(list)
    for header in headers:
        kinds[header.kind].append(header)
    for kind, members in sorted(kinds.items()):
        total = max(header.total for header in members)
        if lost := sorted(set(range(total)) - {header.index for header in members}):
            message = f"{kind.title}: {_numbers(lost)} of {total} are lost"
            yield Fault(FindingKind.PLANTED_LOST, message)


def _page_faults(planted: Planted, dump: Dump) -> Iterator[Fault]:
    for address, header in planted.pages.items():
        zero = header is None or header.kind is Kind.ZERO
        want = bytes(PAGE) if header is None or zero else header.content()
        title = f"page {address:#x}, {'zeroed memory' if header is None else header.title}"
        copies = _copies(dump, address, PAGE)
        if not copies:
            yield Fault.of_page(address, f"{title}, is in no PT_LOAD")
        for why in {_difference(copy, want, address): None for copy in copies}:
            if why is not None:
                yield Fault.of_page(address, f"{title}, {why}")


def _difference(dumped: bytes, want: bytes, address: int) -> str | None:
    """How the content at ``address`` differs from what was planted; None if it does not."""
    if dumped == want:
        return None
    if len(dumped) < len(want):
        return f"is lost: the dump ends at {address + len(dumped):#x}"
    if not any(dumped):
        return "is zero in the dump"
    other = Header.parse(dumped)
    if other is not None and other.address != address:
        shift = address - other.address
        return f"has the content of page {other.address:#x}, {other.title}, shifted by {shift:+#x}"
    if other is not None and other.pack() != want[:HEADER_SIZE]:
        return f"has other content: {other.title} of seed {other.seed:#x}"
    wrong = [at for at, pair in enumerate(zip(dumped, want, strict=True)) if pair[0] != pair[1]]
    first = wrong[0]
    return (
        f"differs in {len(wrong)} bytes from {address + first:#x} on: "
        f"dump {dumped[first : first + SHOWN_BYTES].hex(' ')}, "
        f"planted {want[first : first + SHOWN_BYTES].hex(' ')}"
    )


def _is_stray(item: Found, planted: Planted) -> bool:
    """Whether it is a page's content at a place where none was planted, so none was compared."""
    address, header = item
    in_place = header.kind is Kind.LEDGER and planted.ledger.get(header.index) == header
    return (
        header.kind is not Kind.MESSAGE
        and address not in planted.pages
        and not (in_place and header.address == address)
    )


def _is_written_back(item: Found, planted: Planted, dump: Dump) -> bool:
    """Whether it is a whole page of a block device, of which the device has a copy."""
    address, header = item
    return (
        header.kind is Kind.BLOCK
        and address % PAGE == 0
        and planted.pages.get(header.address) == header
        and all(copy == header.content() for copy in _copies(dump, address, PAGE))
    )


def _stray_faults(strays: Iterable[Found]) -> Iterator[Fault]:
    for address, header in sorted(set(strays), key=lambda item: item.address):
        if header.address == address:
            message = f"page {address:#x}, {header.title}, is not in the ledger"
        else:
            message = (
                f"{address:#x} has the content of page {header.address:#x}, {header.title}, "
                f"shifted by {address - header.address:+#x}"
            )
        yield Fault(FindingKind.PLANTED_ASTRAY, message)


def _message_faults(
    messages: Mapping[int, Header], found: Iterable[Found], dump: Dump
) -> Iterator[Fault]:
    places: dict[int, list[int]] = defaultdict(list)
    for address, header in sorted(set(found), key=lambda item: item.address):
        if header.kind is not Kind.MESSAGE:
            continue
        if messages.get(header.index) == header:
            places[header.index].append(address)
        else:
            message = f"{header.title} at {address:#x} is not in the ledger"
            yield Fault(FindingKind.PLANTED_ASTRAY, message)
    for index, header in messages.items():
        if not places[index]:
            message = f"{header.title}, {header.size} bytes, is lost"
            yield Fault(FindingKind.PLANTED_LOST, message)
        elif len(places[index]) > 1:
            shown = ", ".join(f"{place:#x}" for place in places[index])
            message = f"{header.title} is there more than once: at {shown}"
            yield Fault(FindingKind.PLANTED_ASTRAY, message)
        want = header.content()
        for place in places[index]:
            for copy in _copies(dump, place, header.size):
                if why := _difference(copy, want, place):
                    message = f"{header.title} at {place:#x} {why}"
                    yield Fault(FindingKind.PLANTED_MESSAGE_WRONG, message)


def _report(faults: Sequence[Fault], planted: Planted) -> Iterator[Finding]:
    pages = sorted({fault.address for fault in faults if fault.address is not None})
    if len(faults) > DETAILED:
        kinds = (
            f"{len(pages)} of {len(planted.pages) + len(planted.ledger)} planted pages are wrong"
        )
        zones = Counter(_zone(address) for address in pages)
        where = ", ".join(f"{number} {zone}" for zone, number in zones.items())
        yield Finding(
            CHECK,
            FindingKind.PLANTED_FAULTS,
            f"{len(faults)} faults, {DETAILED} of them follow; {kinds}"
            + (f": {where}; {_ranges(pages)}" if pages else ""),
            PlantedFaults(len(faults), tuple(pages)),
        )
    yield from (fault.finding for fault in faults[:DETAILED])


def _uncovered(pages: Iterable[int], hsa_size: object) -> Iterator[Finding]:
    if not isinstance(hsa_size, int) or hsa_size <= 0:
        message = f"which side of the HSA's end was planted is unknown: {hsa_size!r}"
        yield Finding(CHECK, FindingKind.HSA_END_UNKNOWN, message)
        return
    below, above = _sides(pages, hsa_size, NEAR)
    for side, planted in (("below", below), ("above", above)):
        if not planted:
            yield Finding(
                CHECK,
                FindingKind.HSA_END_NOT_PLANTED,
                f"no page was planted within {NEAR // MIB} MiB {side} the HSA's end at "
                f"{hsa_size:#x}: the dump is not proved there",
                HsaSide(hsa_size, side),
            )


def _notes(planted: Planted, hsa_size: object) -> Iterator[str]:
    kinds = Counter(header.kind for header in planted.pages.values() if header is not None)
    counts = [f"{kind.title} {number}" for kind, number in sorted(kinds.items())]
    yield f"planted: {', '.join([*counts, f'slab messages {len(planted.messages)}'])}"
    if not planted.pages:
        return
    first, last = min(planted.pages), max(planted.pages)
    yield f"planted pages: from {first:#x} to {last:#x}"
    if isinstance(hsa_size, int):
        below, above = _sides(planted.pages, hsa_size, NEAR)
        yield f"HSA's end at {hsa_size:#x}: {_side(below, 'below')}; {_side(above, 'above')}"
    zones = Counter(_zone(address) for address in sorted(planted.pages))
    yield f"pages by place: {', '.join(f'{number} {zone}' for zone, number in zones.items())}"


def _sides(pages: Iterable[int], boundary: int, reach: int) -> tuple[list[int], list[int]]:
    """Distances in bytes of the pages up to ``reach`` below and above, the nearest one first."""
    distances = [address - boundary for address in pages]
    below = sorted(-distance for distance in distances if -reach <= distance < 0)
    return below, sorted(distance for distance in distances if 0 <= distance < reach)


def _side(distances: Sequence[int], side: str) -> str:
    nearest = f", the nearest one {distances[0]:#x} bytes" if distances else ""
    return f"{len(distances)} pages within {NEAR // MIB} MiB {side}{nearest}"


def _zone(address: int) -> str:
    """The place of interest at which an address lies."""
    boundary = FIRST_BOUNDARY
    while boundary <= address + SIDE:
        if address < boundary:
            return f"close below {boundary // MIB} MiB"
        if address < boundary + SIDE:
            return f"close above {boundary // MIB} MiB"
        boundary *= 2
    return "elsewhere"


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN_RANGES]))
    more = len(numbers) - SHOWN_RANGES
    return f"{shown} and {more} more" if more > 0 else shown


def _ranges(pages: Sequence[int]) -> str:
    """Runs of adjacent pages, from ascending addresses."""
    runs: list[tuple[int, int]] = []
    for address in pages:
        if runs and runs[-1][1] == address:
            runs[-1] = (runs[-1][0], address + PAGE)
        else:
            runs.append((address, address + PAGE))
    shown = ", ".join(f"{start:#x}-{end - 1:#x}" for start, end in runs[:SHOWN_RANGES])
    more = len(runs) - SHOWN_RANGES
    return f"{shown} and {more} more ranges" if more > 0 else shown
