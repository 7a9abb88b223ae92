"""What the crashed kernel says of itself more than once must be the same each time."""

from __future__ import annotations

from harness.dump.formats.table import format_named
from harness.dump.linux.early import early
from harness.dump.linux.statements import Loads, Statement, Statements
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.verify.checks import memory_map
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, Telling

CHECK, UNIT = "statements", "comparisons"
_SHOWN = 16


def check(evidence: Evidence) -> CheckResult:
    """The memory at the crash and its CPUs must not contradict each other.

    Of the dump only its PT_LOADs say more, and the check of the memory map is about these.
    """
    try:
        return _check(evidence.crashed)
    except EvidenceError as error:
        return CheckResult.failed(CHECK, UNIT, FindingKind.UNREADABLE, error.message)


def of_dump(dump: Dump) -> CheckResult:
    """A dump alone must not contradict itself; raises EvidenceError if a line has no value."""
    has_loads = format_named(dump.format).has_virtual
    loads = _loads(dump) if has_loads else None
    lacks = has_loads and loads is None
    notes = ("PT_LOAD: there is none for the kernel's image",) if lacks else ()
    # with VMCOREINFO, the check of page tables asks for the image's symbols
    return _check(dump, loads, notes, walk_image=dump.vmcoreinfo is None)


def _check(
    dump: Dump, loads: Loads | None = None, notes: tuple[str, ...] = (), *, walk_image: bool = True
) -> CheckResult:
    """Hold all statements against each other; ``notes`` say who made none.

    Skipped if VMCOREINFO names no page tables: that of every Linux does. Also skipped if the dump
    is so early that nothing was said twice.
    """
    note = dump.vmcoreinfo
    if note is not None and "SYMBOL(swapper_pg_dir)" not in Vmcoreinfo(note, dump.name).lines:
        return CheckResult.skipped(CHECK, UNIT, "VMCOREINFO has no SYMBOL(swapper_pg_dir)")
    statements = Statements(dump, loads, walk_image=walk_image)
    compared, wrong = 0, []
    for statement in statements:
        compared += len(statement.told) - 1
        if statement.contradicts:
            wrong.append(statement)
    if not compared and early(dump) is not None:
        return CheckResult.skipped(CHECK, UNIT, "early: the kernel had said nothing twice yet")
    findings = [_finding(each) for each in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        message = f"and {len(wrong) - _SHOWN} more of the kind"
        findings.append(Finding(CHECK, FindingKind.MORE, message))
    silent = (*statements.silent, *notes)
    more = (f"and {len(silent) - _SHOWN} more",) if len(silent) > _SHOWN else ()
    return CheckResult(CHECK, compared, UNIT, tuple(findings), notes=(*silent[:_SHOWN], *more))


def _loads(dump: Dump) -> Loads | None:
    """What the PT_LOADs say; None if none is the kernel's, or several are."""
    identity, images = memory_map.split(dump.segments)
    if len(images) != 1:
        return None
    return Loads(tuple(sorted({memory_map.base_of(each) for each in identity})), images[0])


def _finding(statement: Statement) -> Finding:
    told = tuple((each.by, each.value) for each in statement.told)
    return Finding(
        CHECK, FindingKind.STATEMENTS_DIFFER, str(statement), Telling(statement.of, told)
    )
