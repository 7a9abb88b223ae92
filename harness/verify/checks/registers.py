"""Compare every CPU's registers in the dump's notes with those at the crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from harness.dump.formats.table import format_named
from harness.dump.refusal import Refusal
from harness.errors import EvidenceError
from harness.s390x.cpu import VECTORS as VECTOR_FIELDS
from harness.s390x.cpu import CpuState, DumpedCpu
from harness.s390x.lowcore import PREFIX_AREA_SIZE
from harness.s390x.storestatus import whole_comparator
from harness.verify import status_area
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import Cpu, CpuEntry, CpuOrder, FindingKind, Readers, RegisterOfDump

CHECK, UNIT = "registers", "registers"

COMPARATOR_REASON = (
    "store status keeps bits 0-55 of the clock comparator, behind a zero byte, and Linux copies "
    "these eight bytes into NT_S390_TODCMP (arch/s390/kernel/crash_dump.c): the note holds the "
    "register shifted right by 8 bits"
)
PREFIX_REASON = (
    "Linux leaves CPUs with prefix 0 out of /proc/vmcore (arch/s390/kernel/crash_dump.c, "
    "notes_init): they were never started"
)
# as in the decompressor, which runs in the absolute lowcore
_NONE_STARTED = (
    f"at the crash every CPU had prefix 0. {PREFIX_REASON}. Those of the IPL CPU are in its status "
    "area, which the check of pages compares"
)

COMPARATOR = "clock comparator"
TOD_PROGRAMMABLE = "TOD programmable register"
VECTORS = ("right half of vr", "vr")

# field of CpuState: (name, width in bits), and the number of the first one for a bank
_NAMES = {
    "psw_mask": ("PSW mask", 64, 0),
    "psw_addr": ("PSW address", 64, 0),
    "gprs": ("gpr", 64, 0),
    "acrs": ("acr", 32, 0),
    "crs": ("cr", 64, 0),
    "fprs": ("fpr", 64, 0),
    "fpc": ("fpc", 32, 0),
    "prefix": ("prefix", 32, 0),
    "tod_programmable": (TOD_PROGRAMMABLE, 32, 0),
    "cpu_timer": ("CPU timer", 64, 0),
    "clock_comparator": (COMPARATOR, 64, 0),
    "vxrs_low": (VECTORS[0], 64, 0),
    "vxrs_high": (VECTORS[1], 128, 16),
}


@dataclass(frozen=True)
class Expected:
    """A CPU that must be in the dump, with the registers that its notes must show."""

    address: int
    state: DumpedCpu


@dataclass(frozen=True)
class Matching:
    """Which CPU of the dump (by position) is which expected CPU; and the CPUs without a match."""

    pairs: tuple[tuple[Expected, int], ...]
    missing: tuple[Expected, ...]
    surplus: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """One register of a CPU on two sides: ``width`` in bits; None if a side does not have it.

    ``field`` is that of CpuState.
    """

    field: str
    name: str
    width: int
    one: int | None
    other: int | None

    def shown(self, value: int | None) -> str:
        """In hexadecimal, with all digits; the clock comparator as the CPU had it, if possible."""
        if value is not None and self.name == COMPARATOR and self._differ_when_whole:
            value = whole_comparator(value)
        return "unknown" if value is None else f"{value:0{self.width // 4}x}"

    @property
    def _differ_when_whole(self) -> bool:
        """False if they differ only in how they are stored; then they are shown unchanged."""
        values = {value for value in (self.one, self.other) if value is not None}
        return len({whole_comparator(value) for value in values}) == len(values)

    @property
    def in_hex(self) -> tuple[str | None, str | None]:
        """Both values in hexadecimal; None where a side does not have it."""
        one, other = (None if it is None else f"{it:x}" for it in (self.one, self.other))
        return one, other


def check(evidence: Evidence) -> CheckResult:
    """Match the CPUs and compare each register; the dump lists them in CPU address order.

    A register that a CPU had and the dump does not show is a finding.
    """
    if evidence.dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, f"no register compared: {evidence.dump_fault}"
        )
    try:
        limited = evidence.withheld is not None
        dumped = evidence.dump.cpus_in_reach if limited else evidence.dump.cpus
    except EvidenceError as error:
        return CheckResult.failed(CHECK, UNIT, FindingKind.UNREADABLE, error.message)
    expected, withheld = _promised(evidence)
    if withheld and not expected and not dumped:
        return CheckResult.skipped(CHECK, UNIT, withheld[0])
    matching = match(expected, dumped)
    findings = [
        Finding(CHECK, FindingKind.REGISTERS_MISFIT, message) for message in evidence.dump.misfits
    ]
    findings += [refused(CHECK, refusal) for refusal in evidence.dump.refusals]
    findings += _unmatched(matching, expected, dumped)
    compared = nonzero = 0
    notes = list(withheld)
    for cpu, position in matching.pairs:
        unshown = []
        for pair in paired_registers(cpu.state, dumped[position]):
            if pair.one is None or pair.other is None:
                if pair.field in VECTOR_FIELDS:  # the misfits tell of other missing notes
                    unshown.append(pair)
                continue
            compared += 1
            nonzero += pair.one != 0
            if pair.one != pair.other:
                findings.append(_differs(cpu.address, pair))
        findings += [_lacks(cpu.address, pair) for pair in unshown if pair.one]
        if unshown and not any(pair.one for pair in unshown):
            notes.append(
                f"CPU {cpu.address}: the dump shows no {unshown[0].name}-{unshown[-1].name}; "
                "at the crash they were zero, or the CPU had none"
            )
    allowed = _allowed(evidence, expected)
    return CheckResult(
        CHECK, compared, UNIT, tuple(findings), allowed, notes=tuple(notes), nonzero=nonzero
    )


def _promised(evidence: Evidence) -> tuple[list[Expected], tuple[str, ...]]:
    """The CPUs that the dump must show; and what it need not show, in a line.

    A stand-alone dump has registers only where memory has them.
    """
    end, ram = evidence.promised, evidence.ram
    started = [(address, cpu) for address, cpu in enumerate(evidence.cpus) if cpu.prefix]
    if not started:
        return [], (_NONE_STARTED,)
    near, withheld = started, ""
    form = evidence.form or (evidence.dump and evidence.dump.format)
    if evidence.withheld is not None and form and format_named(form).registers_in_memory:
        near = [
            (address, _in_reach(cpu, ram, end))
            for address, cpu in started
            if cpu.prefix + PREFIX_AREA_SIZE <= end
        ]
        far = ", ".join(str(at) for at, cpu in started if cpu.prefix + PREFIX_AREA_SIZE > end)
        withheld = far and (
            f"registers of CPU {far} are kept in memory above {end:#x}, to which the scenario "
            "limits the dump"
        )
    expected = [
        Expected(address, replace(cpu, clock_comparator=cpu.clock_comparator >> 8))
        for address, cpu in near
    ]
    return expected, (withheld,) if withheld else ()


def _in_reach(cpu: CpuState, ram: RamImage, end: int) -> CpuState:
    """Without vector registers, if the area that has them is not in memory up to ``end``."""
    area = status_area.vectors_in(cpu, ram)
    if area is None or area.end <= end:
        return cpu
    return replace(cpu, vxrs_low=None, vxrs_high=None)


def refused(check: str, refusal: Refusal) -> Finding:
    """The finding that other programs do not get registers from a dump."""
    details = Readers(refusal.readers, refusal.cpus)
    return Finding(check, FindingKind.REGISTERS_REFUSED, str(refusal), details)


def match(expected: Sequence[Expected], dumped: Sequence[DumpedCpu]) -> Matching:
    """Find each expected CPU by its prefix, which no two CPUs share, otherwise by its position.

    An entry of the dump that repeats an earlier one has no match.
    """
    free = [at for at, state in enumerate(dumped) if state not in dumped[:at]]
    pairs: dict[int, int] = {}
    for number, cpu in enumerate(expected):
        same = [at for at in free if dumped[at].prefix == cpu.state.prefix]
        if same:
            pairs[number] = number if number in same else same[0]
            free.remove(pairs[number])
    for number in range(len(expected)):
        if number not in pairs and number in free:
            pairs[number] = number
            free.remove(number)
    surplus = [at for at in range(len(dumped)) if at not in pairs.values()]
    return Matching(
        tuple((expected[number], pairs[number]) for number in sorted(pairs)),
        tuple(cpu for number, cpu in enumerate(expected) if number not in pairs),
        tuple(surplus),
    )


def _unmatched(
    matching: Matching, expected: Sequence[Expected], dumped: Sequence[DumpedCpu]
) -> Iterator[Finding]:
    for cpu in matching.missing:
        yield Finding(
            CHECK,
            FindingKind.CPU_MISSING,
            f"CPU {cpu.address} (prefix {shown(cpu.state)}) is missing: the dump has "
            f"{len(dumped)} of {len(expected)} CPUs",
            Cpu(cpu.address),
        )
    for at in matching.surplus:
        first = dumped.index(dumped[at])
        what = f"repeats entry {first}" if first != at else "is none of the machine's CPUs"
        yield Finding(
            CHECK,
            FindingKind.CPU_SURPLUS,
            f"the dump's CPU entry {at} (prefix {shown(dumped[at])}) {what}",
            CpuEntry(at),
        )
    order = [at for _, at in matching.pairs]
    if order != sorted(order):
        message = f"the CPUs are not in CPU address order: {order}"
        yield Finding(CHECK, FindingKind.CPU_ORDER, message, CpuOrder(tuple(order)))


def shown(cpu: DumpedCpu) -> str:
    """The prefix, for a message."""
    return "unknown" if cpu.prefix is None else f"{cpu.prefix:#x}"


def as_it_was(cpu: DumpedCpu) -> DumpedCpu:
    """A dump's CPU with the clock comparator that the CPU had, as far as it was stored."""
    stored = cpu.clock_comparator
    return replace(cpu, clock_comparator=None if stored is None else whole_comparator(stored))


def paired_registers(one: DumpedCpu, other: DumpedCpu) -> Iterator[Pair]:
    """Each register; vector registers only if either side has them."""
    for item in fields(CpuState):
        name, width, first = _NAMES[item.name]
        left, right = getattr(one, item.name), getattr(other, item.name)
        if item.type == "int":
            yield Pair(item.name, name, width, left, right)
            continue
        size = len(left or right or (() if item.name in VECTOR_FIELDS else one.gprs))
        for at, number in enumerate(range(first, first + size)):
            values = left and left[at], right and right[at]
            yield Pair(item.name, f"{name}{number}", width, *values)


def _differs(address: int, pair: Pair) -> Finding:
    return Finding(
        CHECK,
        FindingKind.REGISTER_DIFFERS,
        f"CPU {address}: {pair.name} is {pair.shown(pair.other)} in the dump, "
        f"{pair.shown(pair.one)} at the crash",
        RegisterOfDump(address, pair.name, *pair.in_hex),
    )


def _lacks(address: int, pair: Pair) -> Finding:
    return Finding(
        CHECK,
        FindingKind.REGISTER_MISSING,
        f"CPU {address}: the dump does not show {pair.name}, which was {pair.shown(pair.one)} at "
        "the crash",
        RegisterOfDump(address, pair.name, *pair.in_hex),
    )


def _allowed(evidence: Evidence, expected: Sequence[Expected]) -> tuple[AllowedDifference, ...]:
    left_out = [at for at, cpu in enumerate(evidence.cpus) if not cpu.prefix]
    allowed = [AllowedDifference(f"CPU {at}", PREFIX_REASON) for at in left_out]
    if expected:
        allowed.append(AllowedDifference("clock comparator of each CPU", COMPARATOR_REASON))
    return tuple(allowed)
