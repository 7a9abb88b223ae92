"""A night in the forms that other programs take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.printable import printable
from harness.results.form import Form
from harness.results.mail import mail
from harness.results.nights import Change, Night, Outcome

_ORIGIN = "zfcpdump_harness"
_KCIDB_STATUS = {"PASS": "PASS", "FAIL": "FAIL", "ERROR": "MISS"}  # ours: the code is unknown
_PATH = re.compile(r"[^A-Za-z0-9_-]+")
_DIGITS = 16
_MARKUP = str.maketrans({each: f"\\{each}" for each in "\\|<`*_"})


def export(night: Night, changes: list[Change], form: Form) -> str:
    """The night as a text."""
    forms = {
        Form.JUNIT: _junit,
        Form.KTAP: _ktap,
        Form.SUMMARY: _summary,
        Form.KCIDB: _kcidb,
        Form.MAIL: mail,
    }
    return forms[form](night, changes)


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
    for name in night.missing:
        case = TestCase(_plain(name))
        case.result = [Skipped("not run")]
        suite.add_testcase(case)
    whole = JUnitXml("zfcpdump")
    whole.add_testsuite(suite)
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]
    return text.decode() + "\n"


def _kcidb(night: Night, _: list[Change]) -> str:
    """One checkout for the night, one build for each dump kernel, one test for each attempt."""
    checkout = f"{_ORIGIN}:{night.series}-{night.number}"
    builds: dict[str, dict[str, Any]] = {}
    tests = []
    for outcome in night.outcomes.values():
        for number, attempt in enumerate(outcome.attempts, 1):
            kernel = attempt.inputs.get("dump kernel.sha256", "unknown")
            build = f"{_ORIGIN}:{kernel[:_DIGITS]}"
            builds[build] = {
                "id": build,
                "checkout_id": checkout,
                "origin": _ORIGIN,
                "architecture": "s390x",
                "comment": _plain(attempt.inputs.get("dump kernel.release", "unknown")),
            }
            tests.append(
                {
                    "id": f"{checkout}-{_plain(outcome.name)}-{number}",
                    "build_id": build,
                    "origin": _ORIGIN,
                    "path": f"zfcpdump.{_PATH.sub('_', outcome.name)}",
                    "status": _KCIDB_STATUS.get(attempt.result, "MISS"),
                    "duration": attempt.seconds,
                    "comment": _plain(attempt.headline or outcome.name),
                    "misc": {"signature": attempt.signature, "inputs": dict(attempt.inputs)},
                }
            )
    for name in night.missing:
        build = f"{_ORIGIN}:unknown"
        builds.setdefault(build, {"id": build, "checkout_id": checkout, "origin": _ORIGIN})
        tests.append(
            {
                "id": f"{checkout}-{_plain(name)}-1",
                "build_id": build,
                "origin": _ORIGIN,
                "path": f"zfcpdump.{_PATH.sub('_', name)}",
                "status": "MISS",
            }
        )
    document = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [{"id": checkout, "origin": _ORIGIN, "start_time": _time(night.started)}],
        "builds": list(builds.values()),
        "tests": tests,
    }
    return json.dumps(document, indent=1) + "\n"


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds") + "+00:00"


def _ktap(night: Night, changes: list[Change]) -> str:
    """Linux Documentation/dev-tools/ktap.rst, version 1."""
    known = {change.name: change.issue for change in changes if change.issue}
    lines = ["KTAP version 1", f"1..{len(night.outcomes) + len(night.missing)}"]
    for number, outcome in enumerate(night.outcomes.values(), 1):
        lines += _ktap_lines(number, outcome, known)
    for number, name in enumerate(night.missing, 1 + len(night.outcomes)):
        lines.append(f"not ok {number} {_word(name)} # TIMEOUT not run")
    return "\n".join(lines) + "\n"


def _ktap_lines(number: int, outcome: Outcome, known: Mapping[str, str]) -> Iterator[str]:
    if not outcome.passed:
        yield f"# {_plain(outcome.result)}: {_plain(outcome.bad.headline)}"
        yield f"# {_plain(outcome.bad.replay)}"
    # KTAP has no error: what is not ok with a directive XFAIL is known
    directive = f" # XFAIL {_plain(known[outcome.name])}" if outcome.name in known else ""
    word = "ok" if outcome.passed else "not ok"
    yield f"{word} {number} {_word(outcome.name)}{directive}"


def _word(name: str) -> str:
    """A name without the character that begins a directive."""
    return _plain(name).replace("#", "%")


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
