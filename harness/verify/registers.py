"""Every CPU's registers in the dump's notes against those at the crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.verify.evidence import Evidence
from harness.verify.findings import AllowedDifference, CheckResult, Finding

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

TOD_PROGRAMMABLE = "TOD programmable register"

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
    "clock_comparator": ("clock comparator", 64, 0),
    "vxrs_low": ("right half of vr", 64, 0),
    "vxrs_high": ("vr", 128, 16),
}


@dataclass(frozen=True)
class Expected:
    """A CPU that must be in the dump, as its notes must show it."""

    address: int
    state: CpuState


@dataclass(frozen=True)
class Matching:
    """Which CPU of the dump (by position) is which expected one; the rest is left over."""

    pairs: tuple[tuple[Expected, int], ...]
    missing: tuple[Expected, ...]
    surplus: tuple[int, ...]


def check(evidence: Evidence) -> CheckResult:
    """Match the CPUs and compare each register; the dump lists them in CPU address order."""
    if evidence.dump is None:
        return CheckResult.failed(CHECK, UNIT, f"no register compared: {evidence.dump_fault}")
    try:
        dumped = evidence.dump.cpus
    except EvidenceError as error:
        return CheckResult.failed(CHECK, UNIT, error.message)
    expected = [
        Expected(address, replace(cpu, clock_comparator=cpu.clock_comparator >> 8))
        for address, cpu in enumerate(evidence.cpus)
        if cpu.prefix
    ]
    matching = match(expected, dumped)
    findings = [Finding(CHECK, message) for message in evidence.dump.misfits]
    findings += _unmatched(matching, expected, dumped)
    compared = 0
    for cpu, position in matching.pairs:
        for name, width, want, got in paired_registers(cpu.state, dumped[position]):
            compared += 1
            if want != got:
                findings.append(_differs(cpu.address, name, width, want, got))
    return CheckResult(CHECK, compared, UNIT, tuple(findings), _allowed(evidence, expected))


def match(expected: Sequence[Expected], dumped: Sequence[CpuState]) -> Matching:
    """Find each expected CPU by its prefix, which no two CPUs share, else by its position.

    An entry of the dump that repeats an earlier one is surplus.
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
    matching: Matching, expected: Sequence[Expected], dumped: Sequence[CpuState]
) -> Iterator[Finding]:
    for cpu in matching.missing:
        yield Finding(
            CHECK,
            f"CPU {cpu.address} (prefix {cpu.state.prefix:#x}) is missing: the dump has "
            f"{len(dumped)} of {len(expected)} CPUs",
            {"cpu": cpu.address},
        )
    for at in matching.surplus:
        first = dumped.index(dumped[at])
        what = f"repeats entry {first}" if first != at else "is none of the machine's CPUs"
        yield Finding(
            CHECK,
            f"the dump's CPU entry {at} (prefix {dumped[at].prefix:#x}) {what}",
            {"entry": at},
        )
    order = [at for _, at in matching.pairs]
    if order != sorted(order):
        yield Finding(CHECK, f"the CPUs are not in CPU address order: {order}", {"order": order})


def paired_registers(want: CpuState, got: CpuState) -> Iterator[tuple[str, int, int, int]]:
    """(name, width in bits, value at the crash, value in the dump) of each register."""
    for item in fields(CpuState):
        name, width, first = _NAMES[item.name]
        one, other = getattr(want, item.name), getattr(got, item.name)
        if isinstance(one, tuple):
            for number, (left, right) in enumerate(zip(one, other, strict=True), first):
                yield f"{name}{number}", width, left, right
        else:
            yield name, width, one, other


def _differs(address: int, name: str, width: int, want: int, got: int) -> Finding:
    digits = width // 4
    return Finding(
        CHECK,
        f"CPU {address}: {name} is {got:0{digits}x} in the dump, {want:0{digits}x} at the crash",
        {"cpu": address, "register": name, "dump": f"{got:x}", "crash": f"{want:x}"},
    )


def _allowed(evidence: Evidence, expected: Sequence[Expected]) -> tuple[AllowedDifference, ...]:
    left_out = [at for at, cpu in enumerate(evidence.cpus) if not cpu.prefix]
    allowed = [AllowedDifference(f"CPU {at}", PREFIX_REASON) for at in left_out]
    if expected:
        allowed.append(AllowedDifference("clock comparator of each CPU", COMPARATOR_REASON))
    return tuple(allowed)
