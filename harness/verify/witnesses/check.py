"""The dump must show the system that the witnesses saw.

docs/evidence.md describes what is compared, and which differences are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from harness.errors import EvidenceError, HostError
from harness.evidence.witnesses import Witnesses
from harness.verify.evidence import Evidence
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.semantic.check import why_not_readable
from harness.verify.semantic.process import read_system
from harness.verify.witnesses import files, log, modules, mounts, sockets, threads
from harness.verify.witnesses.facts import PARTS, SystemFacts
from harness.verify.witnesses.said import Said

CHECK, UNIT = "witnesses", "statements of the system"


class PartCheck(NamedTuple):
    """How a part of the facts is compared: ``told`` is how many statements there are about it.

    ``describe`` makes a note of the part.
    """

    part: str
    kind: FindingKind
    run: Callable[[SystemFacts, Witnesses], Iterator[Said]]
    told: Callable[[Witnesses], int]
    describe: Callable[[Any], str]


def check(evidence: Evidence) -> CheckResult:
    """Compare tasks, modules, mounts, sockets, log and page cache with the witnesses.

    Skipped without witnesses, and where the semantic check is; ``trouble`` as there.
    """
    if evidence.witnesses is None:
        return _skipped("the crashed system was not asked what it looks like")
    try:
        if (reason := why_not_readable(evidence)) is not None:
            return _skipped(reason)
        if evidence.dump is None or evidence.dump_path is None:
            message = f"no system: {evidence.dump_fault}"
            return CheckResult.failed(CHECK, UNIT, FindingKind.NO_DUMP, message)
        assert evidence.vmlinux is not None
        assert evidence.crash_path is not None
        facts = read_system(
            evidence.dump_path, evidence.vmlinux, evidence.crash_path, evidence.modules
        )
    except (EvidenceError, HostError) as error:
        return CheckResult.unable(CHECK, UNIT, error)
    return check_system(facts, evidence.witnesses)


def check_system(facts: SystemFacts, told: Witnesses) -> CheckResult:
    """What is wrong in each part that could be read, and which parts could not be read."""
    findings = [
        Finding(CHECK, FindingKind.KERNEL_UNREADABLE, f"{PARTS[part]}: {why}")
        for part, why in facts.faults.items()
    ]
    allowed: list[AllowedDifference] = []
    notes: list[str] = []
    compared = 0
    for each in _PARTS:
        part = getattr(facts, each.part)
        if part is None:
            continue
        compared += each.told(told)
        notes.append(each.describe(part))
        for said in each.run(facts, told):
            if isinstance(said, AllowedDifference):
                allowed.append(said)
            else:
                findings.append(Finding(CHECK, each.kind, said))
    notes += [f"{PARTS[part]}: not read: {why}" for part, why in facts.unknown.items()]
    return CheckResult(CHECK, compared, UNIT, tuple(findings), tuple(allowed), notes=tuple(notes))


def _skipped(reason: str) -> CheckResult:
    return CheckResult.skipped(CHECK, UNIT, reason)


_PARTS = (
    PartCheck(
        "threads",
        FindingKind.SYSTEM_TASKS,
        threads.check_threads,
        lambda told: len(told.tasks or ()),
        threads.describe,
    ),
    PartCheck(
        "modules",
        FindingKind.SYSTEM_MODULES,
        modules.check_modules,
        lambda told: len(told.modules or ()),
        modules.describe,
    ),
    PartCheck(
        "mounts",
        FindingKind.SYSTEM_MOUNTS,
        mounts.check_mounts,
        lambda told: len(told.mounts or ()),
        mounts.describe,
    ),
    PartCheck(
        "sockets",
        FindingKind.SYSTEM_SOCKETS,
        sockets.check_sockets,
        lambda told: len(told.sockets or ()),
        sockets.describe,
    ),
    PartCheck(
        "log",
        FindingKind.SYSTEM_LOG,
        log.check_log,
        lambda told: len(told.log or ()) + len(told.journal or ()),
        lambda lines: f"kernel log: {len(lines)} lines",
    ),
    PartCheck(
        "files",
        FindingKind.SYSTEM_FILES,
        files.check_files,
        lambda told: len(told.files or ()),
        files.describe,
    ),
)
