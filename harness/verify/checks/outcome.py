"""How the dump system ended, and how it used the HSA."""

from __future__ import annotations

from collections.abc import Iterator

from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "outcome", "observations"
FINISHED = "finished"
_OBSERVATIONS = 4


def check(evidence: Evidence) -> CheckResult:
    """The tool finished; the HSA was read, then released, and never asked for again."""
    findings = tuple(Finding(CHECK, kind, message) for kind, message in _faults(evidence))
    limits = evidence.outcome.get("limits")
    notes = tuple(map(str, limits)) if isinstance(limits, list) else ()
    return CheckResult(CHECK, _OBSERVATIONS, UNIT, findings, notes=notes)


def _faults(evidence: Evidence) -> Iterator[tuple[FindingKind, str]]:
    outcome = evidence.outcome
    if outcome.get("outcome") != FINISHED:
        said = outcome.get("result_line") or "no result line"
        message = f"the dump system did not finish: {outcome.get('outcome')}; {said}"
        yield FindingKind.NOT_FINISHED, message
    if not outcome.get("sdias_requests"):
        yield FindingKind.HSA_NOT_READ, "the dump system never read the HSA (no SDIAS request)"
    if not outcome.get("hsa_released"):
        yield FindingKind.HSA_NOT_RELEASED, "the HSA was not released"
    if refused := outcome.get("refused_after_release"):
        message = f"{refused} SDIAS requests came after the HSA's release: their data is lost"
        yield FindingKind.SDIAS_AFTER_RELEASE, message
