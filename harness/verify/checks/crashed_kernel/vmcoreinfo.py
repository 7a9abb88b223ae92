"""VMCOREINFO, which analysis tools need to read a dump."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.dump.formats.elf.reader import ElfDump
from harness.dump.linux.early import early
from harness.dump.linux.vmcoreinfo_note import note_in
from harness.errors import EvidenceError
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "vmcoreinfo", "lines"

_WITHHELD = "the note is in memory that the scenario limits the dump to be without"

_BEGINNING = 64

_OSRELEASE = re.compile(r"OSRELEASE=\d+\.\d+\S*")
_PAGESIZE = "PAGESIZE=4096"
_SYMBOL = re.compile(r"SYMBOL\([\w.]+\)=[0-9a-f]+")


def check(evidence: Evidence) -> CheckResult:
    """The note must be there, have the required lines, and equal the one in the crashed memory.

    Skipped if the system stopped before it had set VMCOREINFO, and the scenario expects that.
    """
    if evidence.dump is None:
        return CheckResult.failed(
            CHECK, UNIT, FindingKind.NO_DUMP, f"no VMCOREINFO: {evidence.dump_fault}"
        )
    dump, before = evidence.dump, note_in_memory(evidence.ram)
    try:
        dumped = dump.vmcoreinfo_note if isinstance(dump, ElfDump) else dump.vmcoreinfo
    except EvidenceError as error:
        return CheckResult.failed(CHECK, UNIT, FindingKind.UNREADABLE, error.message)
    if dumped is None and before is not None and _is_withheld(evidence):
        return CheckResult.skipped(CHECK, UNIT, _WITHHELD)
    if dumped is None:
        found = early(evidence.crashed)
        if found is not None and evidence.expect.early:
            return CheckResult.skipped(CHECK, UNIT, f"the dump is early: {found}")
        where = "has none either" if before is None else f"has one of {len(before)} bytes"
        if found is not None:
            where += f"; the dump is early: {found}. expect.early in the scenario expects that"
        return CheckResult.failed(
            CHECK,
            UNIT,
            FindingKind.VMCOREINFO_MISSING,
            f"the dump has no VMCOREINFO note; the crashed memory {where}",
        )
    lines = dumped.rstrip(b"\0").decode(errors="replace").splitlines()
    findings = [*lacking(lines)]
    if before is not None and before.rstrip(b"\0") != dumped.rstrip(b"\0"):
        message = (
            f"the note ({len(dumped)} bytes) differs from the one in the crashed memory "
            f"({len(before)} bytes){_shift(dumped, before)}"
        )
        findings.append(Finding(CHECK, FindingKind.VMCOREINFO_DIFFERS, message))
    return CheckResult(CHECK, len(lines), UNIT, tuple(findings))


def _shift(dumped: bytes, before: bytes) -> str:
    """That the dump's note begins within the right one, if it does; the kernel copied it badly."""
    at = before.find(dumped[:_BEGINNING])
    return f": it begins with byte {at} of that one" if at > 0 and any(dumped) else ""


def _is_withheld(evidence: Evidence) -> bool:
    """Whether a dump that has the note only in memory is limited to memory without it."""
    if evidence.withheld is None or isinstance(evidence.dump, ElfDump):
        return False
    ram, end = evidence.ram, evidence.promised
    return note_in(lambda at, size: ram.read(at, min(size, end - at)) if at < end else b"") is None


def note_in_memory(ram: RamImage) -> bytes | None:
    """Descriptor of the note to which the absolute lowcore points; None if there is none."""
    return note_in(lambda address, size: ram.read(address, size) if address < ram.size else b"")


def lacking(lines: Sequence[str]) -> Iterator[Finding]:
    """Required lines that the note does not have."""
    for message in _lacking(lines):
        yield Finding(CHECK, FindingKind.VMCOREINFO_LACKS_LINE, message)


def _lacking(lines: Sequence[str]) -> Iterator[str]:
    if not any(_OSRELEASE.fullmatch(line) for line in lines):
        yield "VMCOREINFO has no OSRELEASE=version line"
    if _PAGESIZE not in lines:
        yield f"VMCOREINFO has no line {_PAGESIZE}"
    if not any(_SYMBOL.fullmatch(line) for line in lines):
        yield "VMCOREINFO has no SYMBOL(name)=address line"
