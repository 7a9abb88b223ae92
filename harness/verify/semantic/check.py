"""Compare the crashed kernel's own structures in the dump with what is known of the crash.

A dump can have all bytes of the crashed machine and still be useless for analysis. So this check
reads the dump as its users do, with drgn and the kernel's vmlinux.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from harness.dump.linux.early import early
from harness.errors import EvidenceError, HostError, UsageError
from harness.files.plain_file import is_file
from harness.files.vmlinux import build_id_of
from harness.verify.checks.crashed_kernel.vmcoreinfo import note_in_memory
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.semantic.facts import PARTS, KernelFacts
from harness.verify.semantic.log import check_log, check_names
from harness.verify.semantic.memory import check_slabs, check_zones
from harness.verify.semantic.process import read_kernel
from harness.verify.semantic.tasks import check_cpus, check_stacks, check_tasks, describe

CHECK, UNIT = "semantic", "kernel objects"


class PartCheck(NamedTuple):
    """``run`` says what is wrong with a part of the facts that has a ``size``, in objects."""

    part: str
    kind: FindingKind
    run: Callable[[KernelFacts, Evidence], Iterator[str]]
    size: Callable[[Any], int]


_BUILD_ID = b"BUILD-ID="
_EARLY = (
    "early: the kernel had not set VMCOREINFO yet, which says which vmlinux is its own (BUILD-ID). "
    "So CPUs, stacks, log, names, tasks and free memory are not checked"
)
_HINT = "zharness verify EVIDENCE --vmlinux FILE takes another one"


def check(evidence: Evidence) -> CheckResult:
    """Check CPUs and their tasks, the stack at the crash, log, names, task and free memory lists.

    Skipped without vmlinux. If the vmlinux is another kernel's or has changed, or if drgn does not
    finish, the result has ``trouble``.
    """
    try:
        if (reason := why_not_readable(evidence)) is not None:
            return _skipped(reason)
        if evidence.dump is None or evidence.dump_path is None:
            message = f"no kernel: {evidence.dump_fault}"
            return CheckResult.failed(CHECK, UNIT, FindingKind.NO_DUMP, message)
        assert evidence.vmlinux is not None
        facts = read_kernel(evidence.dump_path, evidence.vmlinux)
    except (EvidenceError, HostError) as error:
        return CheckResult.unable(CHECK, UNIT, error)
    return check_kernel(facts, evidence)


def why_not_readable(evidence: Evidence) -> str | None:
    """Why the kernel in the dump is not read with drgn; None if it can be.

    Raises EvidenceError if the vmlinux is another kernel's, or has changed.
    """
    if evidence.withheld is not None:
        return "the scenario limits the dump, which has only a part of the kernel's data"
    if evidence.vmlinux is None:
        return "no vmlinux of the crashed kernel is recorded"
    if not is_file(evidence.vmlinux):
        return f"the crashed kernel's vmlinux is not there any more: {evidence.vmlinux}"
    wanted = build_id(note_in_memory(evidence.ram) or b"")
    if wanted is None:
        if early(evidence.crashed) is not None:
            return _EARLY
        return "the crashed kernel does not say which vmlinux is its own (BUILD-ID)"
    require_build(evidence.vmlinux, wanted)
    if evidence.vmlinux_digest is not None:
        _require_unchanged(evidence.vmlinux, evidence.vmlinux_digest)
    return None


def check_kernel(facts: KernelFacts, evidence: Evidence) -> CheckResult:
    """What is wrong in each part that could be read, and which parts could not be read.

    ``notes`` tell where each CPU was, and what this drgn cannot read of this kernel.
    """
    findings = [
        Finding(CHECK, FindingKind.KERNEL_UNREADABLE, f"{PARTS[part]}: {why}")
        for part, why in facts.faults.items()
    ]
    compared = 0
    for each in _PARTS:
        if getattr(facts, each.part) is not None:
            compared += each.size(facts)
            findings += [
                Finding(CHECK, each.kind, message) for message in each.run(facts, evidence)
            ]
    notes = [
        *(describe(cpu) for cpu in facts.cpus or ()),
        *(f"{PARTS[part]}: not read: {why}" for part, why in facts.unknown.items()),
    ]
    return CheckResult(CHECK, compared, UNIT, tuple(findings), notes=tuple(notes))


def build_id(vmcoreinfo: bytes) -> str | None:
    """The build-id of the kernel that wrote it, hexadecimal; since Linux 5.9."""
    for line in vmcoreinfo.splitlines():
        if line.startswith(_BUILD_ID):
            return line.removeprefix(_BUILD_ID).decode(errors="replace")
    return None


def require_build(vmlinux: Path, wanted: str) -> None:
    """Raises EvidenceError unless ``vmlinux`` is of the build with the build-id ``wanted``."""
    try:
        found = build_id_of(vmlinux)
    except UsageError as error:
        raise EvidenceError(error.message, hint=_HINT) from error
    if found is None or found.hex() != wanted:
        which = "none" if found is None else found.hex()
        raise EvidenceError(
            f"vmlinux {vmlinux} is not that of the kernel that crashed: its build-id is {which}, "
            f"the kernel's {wanted}",
            hint=_HINT,
        )


def _require_unchanged(vmlinux: Path, digest: str) -> None:
    """Raises EvidenceError unless the file has the content that it had when it was recorded."""
    with vmlinux.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise EvidenceError(
            f"vmlinux {vmlinux} has changed since it was recorded: its SHA-256 is {found}, "
            f"not {digest}",
            hint=_HINT,
        )


def _skipped(reason: str) -> CheckResult:
    return CheckResult.skipped(CHECK, UNIT, reason)


_PARTS = (
    PartCheck("cpus", FindingKind.KERNEL_CPUS, check_cpus, lambda facts: len(facts.cpus)),
    PartCheck("log", FindingKind.KERNEL_LOG, check_log, lambda facts: len(facts.log)),
    PartCheck(
        "names", FindingKind.KERNEL_NAMES, check_names, lambda facts: len(fields(facts.names))
    ),
    PartCheck(
        "tasks",
        FindingKind.KERNEL_TASKS,
        check_tasks,
        lambda facts: len(facts.tasks.forward.tasks),
    ),
    PartCheck(
        "zones",
        FindingKind.KERNEL_FREE_LISTS,
        check_zones,
        lambda facts: sum(len(zone.lists) for zone in facts.zones),
    ),
    PartCheck(
        "slabs",
        FindingKind.KERNEL_SLABS,
        check_slabs,
        lambda facts: facts.slabs.tasks + len(facts.slabs.caches),
    ),
    PartCheck(
        "stacks",
        FindingKind.KERNEL_STACKS,
        check_stacks,
        lambda facts: len(facts.stacks),
    ),
)
