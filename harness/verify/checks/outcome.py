"""How the dump system ended, and how it used the HSA."""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump_tools.tool import DumpTool
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.sclp import SDIAS_FIRST_BLOCK
from harness.verify.dump_system import describe_end
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.patterns import time_to_match

CHECK, UNIT = "outcome", "observations"
FINISHED, NOT_LOADED = "finished", "not-loaded"
_MB = 10**6
_OBSERVATIONS = 8


def check(evidence: Evidence) -> CheckResult:
    """The tool finished; the HSA was read, then released, and never asked for again.

    The dump system asked for what the HSA has, again if the machine was busy, and it has no memory
    besides what the HSA has saved.
    """
    tool = evidence.tool
    with time_to_match(f"the dump tool {tool.name}"):
        faults = (
            *_faults(evidence),
            *_hsa_faults(evidence),
            *_disk_faults(evidence),
            *_early_faults(evidence, tool),
            *_memory_faults(evidence, tool),
        )
    findings = tuple(Finding(CHECK, kind, message) for kind, message in faults)
    limits = evidence.outcome.get("limits")
    notes = tuple(map(str, limits)) if isinstance(limits, list) else ()
    played = evidence.outcome.get("faults")
    if isinstance(played, dict):
        notes += tuple(f"on purpose: {name}, {times} times" for name, times in played.items())
    if others := evidence.outcome.get("other_disks"):
        notes += (f"other disks on the adapter, by LUN: {_listed(others)}",)
    if evidence.outcome.get("outcome") != FINISHED:
        notes += tuple(describe_end(evidence))
    return CheckResult(CHECK, _OBSERVATIONS, UNIT, findings, notes=notes)


def _faults(evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    outcome = evidence.outcome
    if outcome.get("outcome") != FINISHED:
        said = outcome.get("result_line") or "no result line"
        message = f"the dump system did not finish: {outcome.get('outcome')}; {said}"
        yield FindingKind.NOT_FINISHED, message
    if outcome.get("outcome") == NOT_LOADED:  # so nobody was there to read the HSA
        return
    if not outcome.get("sdias_requests"):
        yield FindingKind.HSA_NOT_READ, "the dump system never read the HSA (no SDIAS request)"
    if not outcome.get("hsa_released"):
        yield FindingKind.HSA_NOT_RELEASED, "the HSA was not released"
    if refused := outcome.get("refused_after_release"):
        message = f"{refused} SDIAS requests came after the HSA's release: their data is lost"
        yield FindingKind.SDIAS_AFTER_RELEASE, message


def _hsa_faults(evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    outcome, hsa_size = evidence.outcome, evidence.outcome.get("hsa_size")
    if outside := outcome.get("sdias_outside"):
        last = hsa_size // PAGE_SIZE + SDIAS_FIRST_BLOCK - 1 if isinstance(hsa_size, int) else "?"
        message = (
            f"{outside} SDIAS requests were for blocks that the HSA does not have, the first for "
            f"block {outcome.get('sdias_outside_block')}: it has the blocks "
            f"{SDIAS_FIRST_BLOCK}-{last}"
        )
        yield FindingKind.SDIAS_OUTSIDE_HSA, message
    if given_up := outcome.get("sdias_given_up"):
        message = (
            f"{given_up} SDIAS requests that the machine was too busy to accept were not repeated"
        )
        yield FindingKind.SDIAS_NOT_REPEATED, message


def _disk_faults(evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    if changed := evidence.outcome.get("other_disks_changed"):
        message = f"the dump system has written to other disks than its own: LUN {_listed(changed)}"
        yield FindingKind.OTHER_DISK_CHANGED, message


def _listed(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)


def _early_faults(evidence: Evidence, tool: DumpTool) -> Iterator[tuple[FindingKind, str]]:
    """From where the tool says that it could not read; nothing if it does not say that.

    If SDIAS requests came after the release, the kernel itself has released the HSA.
    """
    said, hsa_size = evidence.outcome.get("result_line"), evidence.outcome.get("hsa_size")
    if tool.released_early is None or not isinstance(said, str) or not isinstance(hsa_size, int):
        return
    if evidence.outcome.get("refused_after_release"):
        return
    found = tool.released_early.match(said)
    if found is not None and (address := int(found[1], 16)) < hsa_size:
        message = (
            f"the dump tool released the HSA before it had read all that it needs of it: memory at "
            f"{address:#x} was there"
        )
        yield FindingKind.HSA_RELEASED_EARLY, message


def _memory_faults(evidence: Evidence, tool: DumpTool) -> Iterator[tuple[FindingKind, str]]:
    """From what the tool says of its memory; nothing if it does not say that."""
    hsa_size = evidence.outcome.get("hsa_size")
    if tool.memory is None or not isinstance(hsa_size, int):
        return
    said = filter(None, map(tool.memory.match, evidence.console))
    available = max((float(match[1]) for match in said), default=0.0)
    if available * _MB > hsa_size:
        message = (
            f"the dump system has {available:.1f} MB of memory available, the HSA has saved "
            f"{hsa_size / _MB:.1f} MB: it overwrites memory that is nowhere else"
        )
        yield FindingKind.MEMORY_BEYOND_HSA, message
