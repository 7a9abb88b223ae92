"""What a night came to: its lines for people, its JSON, its exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import ExitCode
from harness.report.verdict import Result
from harness.results.nights import Alike, Change, Night, alike

_SHOWN_INPUTS = 12
_SHOWN_NAMES = 8  # of scenarios with one signature


def lines(night: Night, changes: Sequence[Change]) -> Iterator[str]:
    """The night's totals, then what changed, the worst first."""
    begun = f"{night.started:%Y-%m-%d %H:%M} UTC on {night.host}"
    yield (
        f"{night.series}, night {night.number} ({night.state}), begun {begun}: "
        f"{len(night.outcomes)} scenarios, {len(night.failed)} did not pass"
    )
    if night.missing:
        yield f"not run, so nothing is known of them: {', '.join(night.missing)}"
    for together in alike([each for each in changes if each.name not in night.missing]):
        yield from _together(together)


def _together(together: Alike) -> Iterator[str]:
    change = together.first
    where = f", known: {change.issue}" if change.issue else ""
    since = f" since night {change.since}" if change.kind.is_old else ""
    flaky = ", and passed when it was run again" if _passed_again(change) else ""
    yield f"{change.kind}{since}: {_names(together)}{flaky}{where}"
    if not change.kind.is_failure or change.outcome is None:
        return
    bad = change.outcome.bad
    yield f"  {bad.result}: {bad.headline}"
    yield f"  signature: {bad.signature or 'none'}"
    shown = list(together.inputs.items())
    if shown and not change.kind.is_old:
        yield "  inputs that are not as when it last passed:"
        for name, (before, now) in shown[:_SHOWN_INPUTS]:
            yield f"    {name}: {before or 'none'} -> {now or 'none'}"
        if len(shown) > _SHOWN_INPUTS:
            yield f"    and {len(shown) - _SHOWN_INPUTS} more"
    if change.bisected is not None:
        yield f"  {change.bisected.text}"
    yield f"  {bad.replay}"


def _names(together: Alike) -> str:
    names = [change.name for change in together.changes]
    more = len(names) - _SHOWN_NAMES
    if more <= 1:
        return ", ".join(names)
    return f"{len(names)} scenarios: {', '.join(names[:_SHOWN_NAMES])} and {more} more"


def _passed_again(change: Change) -> bool:
    outcome = change.outcome
    return (
        outcome is not None
        and not outcome.passed
        and len(outcome.attempts) > 1
        and any(attempt.passed for attempt in outcome.attempts[1:])
    )


def to_json(night: Night, changes: Sequence[Change]) -> dict[str, Any]:
    return {
        "series": night.series,
        "night": night.number,
        "state": night.state,
        "started": night.started.isoformat(timespec="seconds") + "Z",
        "scenarios": len(night.outcomes),
        "failed": [outcome.name for outcome in night.failed],
        "missing": list(night.missing),
        "changes": [
            {
                "kind": change.kind.value,
                "name": change.name,
                "since": change.since,
                "signature": change.outcome.bad.signature if change.outcome else None,
                "issue": change.issue,
                "inputs": {name: list(pair) for name, pair in change.inputs.items()},
                "bisected": _bisected(change),
                "replay": change.outcome.bad.replay if change.outcome else None,
            }
            for change in changes
        ],
    }


def _bisected(change: Change) -> dict[str, Any] | None:
    if change.bisected is None:
        return None
    found = change.bisected
    return {"state": found.state.value, "commits": list(found.commits), "text": found.text}


def exit_code(night: Night, changes: Sequence[Change]) -> ExitCode:
    """PASS if all were run and passed, KNOWN if every failure is known; else that of the worst.

    ERROR also if something was not run.
    """
    failures = [change for change in changes if change.kind.is_failure]
    unknown = [change for change in failures if change.issue is None]
    results = {change.outcome.result for change in unknown if change.outcome}
    if str(Result.FAIL) in results:
        return ExitCode.FAIL
    if unknown or night.missing or not night.outcomes:
        return ExitCode.ERROR
    return ExitCode.KNOWN if failures else ExitCode.PASS
