"""A night in the forms that other programs take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from harness.printable import printable
from harness.results.form import Form
from harness.results.nights import Change, Night, Outcome

_MARKUP = str.maketrans({each: f"\\{each}" for each in "\\|<`*_"})


def export(night: Night, changes: list[Change], form: Form) -> str:
    """The night as a text."""
    return {Form.JUNIT: _junit, Form.KTAP: _ktap, Form.SUMMARY: _summary}[form](night, changes)


def _junit(night: Night, _: list[Change]) -> str:
    suite = TestSuite(f"zfcpdump {night.series} {night.number}")
    suite.timestamp = night.started.isoformat(timespec="seconds")
    suite.hostname = _plain(night.host)
    for outcome in night.outcomes.values():
        case = TestCase(_plain(outcome.name), time=round(outcome.first.seconds, 3))
        if not outcome.passed:
            kind = Failure if outcome.result == "FAIL" else Error
            result = kind(_plain(outcome.bad.headline), _plain(outcome.bad.signature or "run"))
            result.text = _plain(outcome.bad.replay)
            case.result = [result]
        suite.add_testcase(case)
    whole = JUnitXml("zfcpdump")
    whole.add_testsuite(suite)
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]
    return text.decode() + "\n"


def _ktap(night: Night, changes: list[Change]) -> str:
    """Linux Documentation/dev-tools/ktap.rst, version 1."""
    known = {change.name: change.issue for change in changes if change.issue}
    lines = ["KTAP version 1", f"1..{len(night.outcomes)}"]
    for number, outcome in enumerate(night.outcomes.values(), 1):
        lines += _ktap_lines(number, outcome, known)
    return "\n".join(lines) + "\n"


def _ktap_lines(number: int, outcome: Outcome, known: Mapping[str, str]) -> Iterator[str]:
    if not outcome.passed:
        yield f"# {_plain(outcome.result)}: {_plain(outcome.bad.headline)}"
        yield f"# {_plain(outcome.bad.replay)}"
    # KTAP has no error: what is not ok with a directive XFAIL is known
    directive = f" # XFAIL {_plain(known[outcome.name])}" if outcome.name in known else ""
    word = "ok" if outcome.passed else "not ok"
    yield f"{word} {number} {_plain(outcome.name).replace('#', '%')}{directive}"


def _summary(night: Night, changes: list[Change]) -> str:
    lines = [
        f"## {_cell(night.series)}, night {night.number}: {len(night.failed)} of "
        f"{len(night.outcomes)} did not pass",
        "",
    ]
    if changes:
        lines += ["| change | scenario | result | what | known |", "|---|---|---|---|---|"]
    for change in changes:
        bad = None if change.outcome is None else change.outcome.bad
        cells = (
            change.kind,
            change.name,
            bad.result if bad else "",
            bad.headline if bad else "",
            change.issue or "",
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """In one line, without control characters, which XML cannot hold."""
    return printable(text)


def _cell(text: str) -> str:
    return printable(text).translate(_MARKUP)
