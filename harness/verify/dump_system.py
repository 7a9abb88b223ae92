"""Where the dump system itself was at its end: its CPUs' stacks, and the end of its log.

Its memory and registers are in the evidence of a run that failed. They need the dump kernel's
vmlinux, which a build has only with debug information. No verdict depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump.detect import open_dump
from harness.errors import HarnessError
from harness.evidence.names import DUMP_DIRECTORY, DUMP_SYSTEM
from harness.files.plain_file import is_file
from harness.verify.evidence import Evidence
from harness.verify.semantic.check import build_id, require_build
from harness.verify.semantic.facts import KernelFacts
from harness.verify.semantic.process import read_kernel
from harness.verify.semantic.tasks import describe

WITH_VMLINUX = "--dump-config CONFIG_DEBUG_INFO_DWARF5=y"  # of zharness run
_LOG_LINES = 10
_TOLD = ("cpus", "log")  # of the parts that are read


def why_not_readable(evidence: Evidence) -> str | None:
    """Why drgn cannot read the dump system; None if it can.

    Raises EvidenceError if the vmlinux is another kernel's, or the memory is damaged.
    """
    if evidence.dump_system is None:
        return "the dump system's memory is not in the evidence, which is so if the run passed"
    if evidence.dump_vmlinux is None:
        return f"the dump kernel has no vmlinux: run it again with {WITH_VMLINUX}"
    if not is_file(evidence.dump_vmlinux):
        return f"the dump kernel's vmlinux is not there any more: {evidence.dump_vmlinux}"
    with open_dump(evidence.dump_system) as system:
        wanted = build_id(system.vmcoreinfo or b"")
    if wanted is None:
        return "the dump kernel had not set VMCOREINFO yet, which says which vmlinux is its own"
    require_build(evidence.dump_vmlinux, wanted)
    return None


def describe_end(evidence: Evidence) -> Iterator[str]:
    """Lines for people; none if the evidence has no dump system, and no error is raised."""
    if evidence.dump_system is None:
        return
    where = f"dump system at its end ({DUMP_DIRECTORY}/{DUMP_SYSTEM})"
    try:
        if (reason := why_not_readable(evidence)) is not None:
            yield f"{where}: {reason}"
            return
        assert evidence.dump_vmlinux is not None
        facts = read_kernel(evidence.dump_system, evidence.dump_vmlinux)
    except HarnessError as error:
        yield f"{where}: {error.message}"
        return
    for line in _lines(facts):
        yield f"{where}: {line}"


def _lines(facts: KernelFacts) -> Iterator[str]:
    yield from map(describe, facts.cpus or ())
    yield from (f"log: {line}" for line in (facts.log or ())[-_LOG_LINES:])
    unread = {**facts.faults, **facts.unknown}
    yield from (f"{part}: {unread[part]}" for part in _TOLD if part in unread)
