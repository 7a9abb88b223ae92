"""The page of one run: what it came to, why, and what its machines said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from harness.results.nights import Attempt
from harness.results.page.chosen import INDEX, ChosenRun
from harness.results.page.memory_map import memory_map
from harness.results.page.phase_bar import phase_bar
from harness.results.page.remains import Remains, read_remains
from harness.results.page.template import render
from harness.results.record import METRIC_OF_PHASE, flat

TEMPLATE = "run.html.jinja"
MOST_FINDINGS = 200
_MOST_ROWS = 300  # of any other table


def run_page(run: ChosenRun, others: Sequence[ChosenRun]) -> str:
    """The page of ``run``; ``others`` are the runs of the same scenario in the same night."""
    attempt = run.attempt
    remains = read_remains(run.night, attempt)
    verdict, memory = remains.verdict, remains.memory
    findings = verdict.findings if verdict else ()
    fidelity = verdict.fidelity[:_MOST_ROWS] if verdict else ()
    return render(
        TEMPLATE,
        index=INDEX,
        run=run,
        attempt=attempt,
        others=[each for each in others if each != run],
        remains=remains,
        verdict=verdict,
        explanation=remains.explanation,
        checks=verdict.checks[:_MOST_ROWS] if verdict else (),
        findings=findings[:MOST_FINDINGS],
        more_findings=max(0, len(findings) - MOST_FINDINGS),
        phases=phase_bar(_timings(attempt, remains)),
        map=memory_map(memory, findings) if memory else None,
        fidelity=fidelity,
        providers=Counter(each.get("provider", "?") for each in fidelity),
        inputs=list(islice(_inputs(attempt, remains).items(), _MOST_ROWS)),
    )


def _timings(attempt: Attempt, remains: Remains) -> dict[str, float]:
    """Seconds by phase, of the verdict, or as the database has them."""
    if remains.verdict is not None:
        return dict(remains.verdict.timings)
    return {
        name.removeprefix(METRIC_OF_PHASE): value
        for name, value in attempt.metrics.items()
        if name.startswith(METRIC_OF_PHASE)
    }


def _inputs(attempt: Attempt, remains: Remains) -> dict[str, str]:
    if not attempt.inputs and remains.verdict is not None:
        return flat(remains.verdict.inputs)
    return dict(attempt.inputs)
