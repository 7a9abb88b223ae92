"""Compare two dumps, in any formats: do they have the same content?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import NamedTuple

from harness.dump.formats.page_runs import PagedDump
from harness.dump.formats.table import format_named
from harness.dump.reader import Dump, Range, Segment, refuse_repeats, without
from harness.inspect.compare_status import StoredStatus
from harness.progress import Progress
from harness.s390x.cpu import DumpedCpu
from harness.s390x.lowcore import PAGE_SIZE, PREFIX_AREA_SIZE
from harness.verify.checks import registers
from harness.verify.differing import (
    CHECK,
    CHUNK,
    LISTED,
    Differing,
    Memory,
    Piece,
    RunPieces,
    Sides,
    data_in,
    differences,
    pieces,
    report,
    show_range,
)
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import (
    CpuOfOne,
    CpuOrder,
    FindingKind,
    LineOfDumps,
    MemoryRangeOfDump,
    MemoryRangesOfOne,
    PageOfDumps,
    RegisterOfDumps,
)

MAP, REGISTERS, VMCOREINFO = "memory-map", "registers", "vmcoreinfo"
FIRST, SECOND = "first", "second"
VECTOR_REASON = (
    "a dump of format {} has vector registers only where the crashed system had given the CPU "
    "an area to store them into"
)
LIMITED_REASON = "the other dump was limited: it says that it does not have the end of memory"
LEFT_OUT_REASON = "left out on purpose: the other dump describes them, its file does not have them"
_SIDES = Sides(
    f"{FIRST} dump", f"{SECOND} dump", FindingKind.PAGE_DIFFERS_BETWEEN_DUMPS, PageOfDumps
)
_STEP = 64 << 20
_SHOWN_RANGES = 16


class Layers(NamedTuple):
    """The memory in a dump: all of it ``once``, and the parts that other segments repeat."""

    once: Sequence[Piece]
    again: Sequence[Piece]

    @classmethod
    def of(cls, dump: Dump) -> Layers:
        """Both ascending; /proc/vmcore repeats the kernel's image."""
        if isinstance(dump, PagedDump):
            return cls(RunPieces(dump.segments), ())
        once, again, done = [], [], 0
        for segment in dump.ascending:
            start, end = segment.paddr, segment.present_end
            if start < min(done, end):
                again.append(Piece(start, min(done, end), segment))
            if max(done, start) < end:
                once.append(Piece(max(done, start), end, segment))
                done = end
        return cls(tuple(once), tuple(again))


def compare(one: Dump, other: Dump, progress: Progress) -> tuple[CheckResult, ...]:
    """Compare the memory map, every page, every CPU's registers, and VMCOREINFO.

    A difference that two formats, or two ways to dump, cannot avoid is allowed, with a name.
    Raises EvidenceError if one of the dumps cannot be read.
    """
    results = (
        _memory_map(one, other),
        _pages(one, other, progress),
        _registers(one, other),
        _vmcoreinfo(one, other),
    )
    return tuple(result.explained() for result in results)


def _memory_map(one: Dump, other: Dump) -> CheckResult:
    findings: list[Finding] = []
    allowed: list[AllowedDifference] = []
    ours, theirs = one.memory_map, other.memory_map
    for which, having, left, right, lacking in (
        (FIRST, one, ours, theirs, other),
        (SECOND, other, theirs, ours, one),
    ):
        pages = [_size(only) // PAGE_SIZE for only in _known(left, right, having, lacking)]
        for number, reason in enumerate((LEFT_OUT_REASON, LIMITED_REASON)):
            if explained := pages[number] - pages[number + 1]:
                where = f"{explained} pages that only the {which} dump has"
                allowed.append(AllowedDifference(where, reason))
        ranges = without(without(without(left, right), lacking.left_out), _beyond(lacking))
        only = list(islice(ranges, LISTED))
        count = len(only) + sum(1 for _ in ranges)
        if only:
            shown = ", ".join(show_range(*piece) for piece in only[:_SHOWN_RANGES])
            more = f" and {count - _SHOWN_RANGES} more" if count > _SHOWN_RANGES else ""
            message = f"only the {which} dump has {shown}{more}"
            details = MemoryRangesOfOne(which, tuple(only))
            findings.append(Finding(MAP, FindingKind.MEMORY_IN_ONE_DUMP, message, details))
    count = len(ours) + len(theirs)
    return CheckResult(MAP, count, "ranges of memory", tuple(findings), tuple(allowed))


def _known(
    left: Iterable[Range], right: Iterable[Range], having: Dump, lacking: Dump
) -> Iterator[Iterator[Range]]:
    """Memory that only one dump has; without what the other left out; and without its end.

    A filtered dump may have a million ranges, so none are kept.
    """
    yield without(without(left, right), having.left_out)
    yield without(without(without(left, right), having.left_out), lacking.left_out)
    rest = without(without(without(left, right), having.left_out), lacking.left_out)
    yield without(rest, _beyond(lacking))


def _beyond(lacking: Dump) -> tuple[Range, ...]:
    return () if lacking.withheld is None else (lacking.withheld,)


def _size(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)


def _pages(one: Dump, other: Dump, progress: Progress) -> CheckResult:
    refuse_repeats(one)
    refuse_repeats(other)
    ours, theirs = Layers.of(one), Layers.of(other)
    # the memory in both; then what one of them repeats, compared with the other's memory
    pairs = ((ours.once, theirs.once), (ours.again, theirs.once), (ours.once, theirs.again))
    total = sum(item.size for left, right in pairs for item in overlaps(left, right))
    common = (item for left, right in pairs for item in overlaps(left, right))
    findings = [*_missing(one, FIRST), *_missing(other, SECOND)]
    allowed: dict[AllowedDifference, None] = {}
    status = StoredStatus(one, other)
    differing = Differing()
    compared = done = not_there = 0
    with progress.task("compare the pages", total, "B") as task:
        for item in common:
            compared += -(-item.size // PAGE_SIZE)
            unknown = is_left_out(item.one) or is_left_out(item.other)
            for at, upto in item.steps():
                for difference in differences(item.one, item.other, at, upto):
                    if unknown:
                        not_there += 1
                        continue
                    reason = status.reason(difference)
                    if reason:
                        where = f"page {difference.address:#x}"
                        allowed[AllowedDifference(where, reason)] = None
                    else:
                        differing.add(difference)
                task.update(done + upto - item.start)
            done += item.size
    if not_there:
        where = f"{not_there} pages that are not zero, and that only one of the dumps has"
        allowed[AllowedDifference(where, LEFT_OUT_REASON)] = None
    if differing:
        findings += report(differing, compared, _SIDES, theirs.once)
    return CheckResult(CHECK, compared, "pages", tuple(findings), tuple(allowed))


def is_left_out(memory: Memory) -> bool:
    """Whether it is zeros in place of memory that is not in the dump's file."""
    return isinstance(memory, Segment) and memory.left_out


def _missing(dump: Dump, side: str) -> Iterator[Finding]:
    for segment in dump.fallible:
        if segment.present_end < segment.end:
            where = show_range(segment.present_end, segment.end)
            yield Finding(
                CHECK,
                FindingKind.NOT_COMPARED_IN_DUMP,
                f"{where} not compared: the {side} dump ends before it",
                MemoryRangeOfDump(segment.present_end, segment.end, side),
            )


def _registers(one: Dump, other: Dump) -> CheckResult:
    ours, theirs = one.cpus_in_reach, other.cpus_in_reach
    if not ours and not theirs:
        return CheckResult.skipped(REGISTERS, registers.UNIT, "neither dump has a CPU")
    expected = [registers.Expected(at, cpu) for at, cpu in enumerate(ours)]
    matching = registers.match(expected, theirs)
    compared = 0
    findings, allowed = _lone(matching, theirs, one, other)
    for cpu, position in matching.pairs:
        state = theirs[position]
        for pair in registers.paired_registers(cpu.state, state):
            if pair.one is None and pair.other is None:
                continue
            compared += 1
            if pair.one == pair.other:
                continue
            reason = _reason(pair, one.format, other.format)
            if reason:
                where = f"{reason[0]} of CPU {cpu.address}"
                allowed[AllowedDifference(where, reason[1])] = None
            else:
                findings.append(_register(cpu.address, pair))
    if not compared and not findings and allowed:
        return CheckResult.skipped(REGISTERS, registers.UNIT, "the dumps have no CPU in common")
    positions = [position for _, position in matching.pairs]
    if positions != sorted(positions):
        message = f"the second dump has the first one's CPUs in the order {positions}"
        order = CpuOrder(tuple(positions))
        findings.append(Finding(REGISTERS, FindingKind.CPU_ORDER, message, order))
    return CheckResult(REGISTERS, compared, registers.UNIT, tuple(findings), tuple(allowed))


def _lone(
    matching: registers.Matching, theirs: Sequence[DumpedCpu], one: Dump, other: Dump
) -> tuple[list[Finding], dict[AllowedDifference, None]]:
    """CPUs that only one of the dumps has."""
    findings: list[Finding] = []
    allowed: dict[AllowedDifference, None] = {}
    lone = [(FIRST, cpu.address, cpu.state, other) for cpu in matching.missing]
    lone += [(SECOND, at, theirs[at], one) for at in matching.surplus]
    for side, at, state, lacking in lone:
        where, beyond = f"CPU {at} of the {side} dump", lacking.withheld
        if state.prefix == 0:
            allowed[AllowedDifference(where, registers.PREFIX_REASON)] = None
        elif beyond and state.prefix and state.prefix + PREFIX_AREA_SIZE > beyond.start:
            allowed[AllowedDifference(where, LIMITED_REASON)] = None
        else:
            message = f"only the {side} dump has CPU {at} (prefix {registers.shown(state)})"
            details = CpuOfOne(at, side)
            findings.append(Finding(REGISTERS, FindingKind.CPU_IN_ONE_DUMP, message, details))
    return findings, allowed


def _reason(pair: registers.Pair, one: str, other: str) -> tuple[str, str] | None:
    """Which difference is allowed, and why; None if none. ``one`` and ``other`` are the formats."""
    left, right = pair.one, pair.other
    if left is None or right is None:
        form = one if left is None else other
        if not format_named(form).registers_in_memory:
            return None
        return "vector registers", VECTOR_REASON.format(form)
    if pair.name == registers.COMPARATOR and (left == right >> 8 or right == left >> 8):
        return pair.name, registers.COMPARATOR_REASON
    return None


def _register(cpu: int, pair: registers.Pair) -> Finding:
    return Finding(
        REGISTERS,
        FindingKind.REGISTER_DIFFERS_BETWEEN_DUMPS,
        f"CPU {cpu}: {pair.name} is {pair.shown(pair.one)} in the {FIRST} dump, "
        f"{pair.shown(pair.other)} in the {SECOND} dump",
        RegisterOfDumps(cpu, pair.name, *pair.in_hex),
    )


def _vmcoreinfo(one: Dump, other: Dump) -> CheckResult:
    ours, theirs = one.vmcoreinfo, other.vmcoreinfo
    if ours is None and theirs is None:
        return CheckResult.skipped(VMCOREINFO, "lines", "neither dump has VMCOREINFO")
    if (one if ours is None else other).withheld is not None and None in (ours, theirs):
        reason = "a limited dump does not have the memory in which the note is"
        return CheckResult.skipped(VMCOREINFO, "lines", reason)
    if ours is None or theirs is None:
        message = f"the {FIRST if ours is None else SECOND} dump has none"
        return CheckResult.failed(VMCOREINFO, "lines", FindingKind.VMCOREINFO_MISSING, message)
    left, right = (
        note.rstrip(b"\0").decode(errors="replace").split("\n") for note in (ours, theirs)
    )
    lines = list(zip_longest(left, right))
    findings = [
        Finding(
            VMCOREINFO,
            FindingKind.VMCOREINFO_LINE_DIFFERS_BETWEEN_DUMPS,
            f"line {number} is {_quoted(line)} in the {FIRST} dump, {_quoted(than)} in the "
            f"{SECOND} dump",
            LineOfDumps(number, line, than),
        )
        for number, (line, than) in enumerate(lines, 1)
        if line != than
    ]
    return CheckResult(VMCOREINFO, len(lines), "lines", tuple(findings))


def _quoted(line: str | None) -> str:
    return "absent" if line is None else f"'{line}'"


class Overlap(NamedTuple):
    """Memory that two dumps have, from ``start`` up to but not including ``end``."""

    start: int
    end: int
    one: Memory
    other: Memory

    @property
    def size(self) -> int:
        return self.end - self.start

    def steps(self) -> Iterator[tuple[int, int]]:
        """(start, end) of the ranges that may not be zero, in pieces for a progress bar."""
        if self.size <= CHUNK:  # of which a filtered dump has a million
            yield self.start, self.end
            return
        for start, end in data_in(self.one, self.other, self.start, self.end):
            yield from pieces(start, end, _STEP)


def overlaps(ours: Iterable[Piece], theirs: Iterable[Piece]) -> Iterator[Overlap]:
    """The overlaps of two ascending lists of disjoint pieces."""
    ones, others = iter(ours), iter(theirs)
    one, other = next(ones, None), next(others, None)
    while one is not None and other is not None:
        start, end = max(one.start, other.start), min(one.end, other.end)
        if start < end:
            yield Overlap(start, end, one.memory, other.memory)
        if one.end <= other.end:
            one = next(ones, None)
        else:
            other = next(others, None)
