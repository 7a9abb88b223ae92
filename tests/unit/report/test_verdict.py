"""verdict.json: our files are read as the same objects; foreign files are checked."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError
from harness.phase import Phase
from harness.report.verdict import VERSION, Result, Verdict, VerdictFile, schema
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import NO_DETAILS, DifferingPages, FindingKind
from harness.verify.run_checks import CheckedRun

HERE = Path("/evidence")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, (1 << 64) - 1)


def finding_of(kind: FindingKind) -> st.SearchStrategy[Finding]:
    return st.builds(Finding, TEXTS, st.just(kind), TEXTS, st.from_type(kind.details))


CHECKS = st.builds(
    CheckResult,
    check=TEXTS,
    compared=COUNTS,
    unit=TEXTS,
    findings=st.lists(st.sampled_from(FindingKind).flatmap(finding_of), max_size=3).map(tuple),
    allowed=st.lists(st.builds(AllowedDifference, TEXTS, TEXTS), max_size=2).map(tuple),
    skipped_reason=st.none() | TEXTS,
    notes=st.lists(TEXTS, max_size=2).map(tuple),
    nonzero=st.none() | COUNTS,
    trouble=st.none(),
)
VERDICTS = st.builds(
    Verdict,
    result=st.sampled_from(Result),
    directory=st.just(HERE),
    expected_wrong=st.booleans(),
    phase=st.none() | st.sampled_from(Phase),
    error=st.none() | TEXTS,
    hint=st.none() | TEXTS,
    cause=st.none() | TEXTS,
    checks=st.lists(CHECKS, max_size=3).map(tuple),
    fidelity=st.lists(st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=2).map(tuple),
    timings=st.dictionaries(TEXTS, st.floats(0, 1e9), max_size=2),
    inputs=st.dictionaries(TEXTS, TEXTS, max_size=2),
)
PAGES = Finding("pages", FindingKind.PAGES_DIFFER, "two", DifferingPages(2, ((0, 8192),)))
WRONG = Verdict(Result.FAIL, HERE, checks=(CheckResult("pages", 9, "pages", (PAGES,)),))


def written(verdict: Verdict) -> dict[str, Any]:
    text = json.dumps(verdict.to_json())
    told: dict[str, Any] = json.loads(text)
    assert told == verdict.to_json(), "JSON has no other form of it"
    return told


@pytest.mark.parametrize(("expected", "hint"), [(False, "more memory"), (True, None)])
def test_only_what_is_not_as_expected_has_a_hint(expected: bool, hint: str | None) -> None:
    checked = CheckedRun(WRONG.checks, expected_wrong=expected, hint="more memory")
    verdict = Verdict.of(checked, directory=HERE)
    assert verdict.hint == written(verdict)["hint"] == hint


@given(VERDICTS)
def test_what_is_written_is_read_again(verdict: Verdict) -> None:
    assert Verdict.from_json(written(verdict), HERE) == verdict


@pytest.mark.parametrize("kind", FindingKind)
def test_a_finding_of_each_kind_has_the_details_of_its_kind(kind: FindingKind) -> None:
    if kind.details is not type(NO_DETAILS):
        with pytest.raises(TypeError, match=str(kind)):
            Finding("check", kind, "message")
    assert kind == kind.value == kind.value.lower().replace("_", "-")


def old(verdict: Verdict) -> dict[str, Any]:
    """As version 1 has it: no version, no kinds."""
    told = written(verdict)
    del told["version"]
    for check in told["checks"]:
        for finding in check["findings"]:
            del finding["kind"]
    return told


def test_a_verdict_of_version_1_is_read_and_tells_no_kinds() -> None:
    (check,) = Verdict.from_json(old(WRONG), HERE).checks
    assert not check.passed
    assert check.findings == (Finding("pages", FindingKind.UNSPECIFIED, "two"),)


def test_a_verdict_of_a_later_version_is_refused_in_one_line() -> None:
    told = written(WRONG) | {"version": VERSION + 1}
    with pytest.raises(EvidenceError) as caught:
        Verdict.from_json(told, HERE)
    assert caught.value.message == (
        "/evidence: its verdict is of version 3, and this harness reads none later than 2"
    )


def with_finding(**fields: object) -> dict[str, Any]:
    told = copy.deepcopy(written(WRONG))
    told["checks"][0]["findings"][0] |= fields
    return told


@pytest.mark.parametrize("details", [{}, {"pages": "many"}, {"x": {"y": []}}])
def test_a_finding_of_a_later_kind_keeps_its_message(details: object) -> None:
    told = with_finding(kind="odd", details=details)
    (finding, *rest) = Verdict.from_json(told, HERE).findings
    assert finding == Finding("pages", FindingKind.UNSPECIFIED, WRONG.findings[0].message)
    assert rest == list(WRONG.findings[1:])


def test_keys_of_a_later_harness_are_left_out() -> None:
    told = with_finding(later=1)
    details = told["checks"][0]["findings"][0]["details"]
    for part in (told, told["checks"][0], details):
        part["later"] = {"a": 1}
    assert Verdict.from_json(told, HERE) == WRONG


def test_a_kind_without_details_may_have_some_later() -> None:
    told = with_finding(kind=str(FindingKind.NO_DUMP), details={"why": "?"})
    found = Verdict.from_json(told, HERE).findings[0]
    assert (found.kind, found.details) == (FindingKind.NO_DUMP, NO_DETAILS)


REFUSED = {
    "version is no number": (written(WRONG) | {"version": "2"}, "version: must be 2"),
    "version is true": (written(WRONG) | {"version": True}, "version: must be 2"),
    "version 0": (written(WRONG) | {"version": 0}, "version: must be 2"),
    "no kinds": (old(WRONG) | {"version": 2}, "checks.0.findings.0.later.kind: is missing"),
    "a kind that is no text": (with_finding(kind=7), "findings.0.later.kind: must be a text"),
    "other details": (with_finding(details={}), "pages-differ.details.pages: is missing"),
    "text for a number": (
        with_finding(details={"pages": "2", "ranges": []}),
        "details.pages: must be a whole number",
    ),
    "passed in spite of a finding": (
        written(WRONG) | {"checks": [written(WRONG)["checks"][0] | {"passed": True}]},
        "checks.0: passed is True, and the rest says otherwise",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_not_a_verdict(name: str) -> None:
    told, message = REFUSED[name]
    with pytest.raises(EvidenceError) as caught:
        Verdict.from_json(told, HERE)
    assert caught.value.message.startswith("/evidence: not a verdict: ")
    assert message in caught.value.message


def described(node: object) -> list[str]:
    """Names of all properties of the verdict and its checks that have no description."""
    if not isinstance(node, dict):
        return []
    return [name for name, each in node.items() if "description" not in each]


def without_descriptions(node: object) -> object:
    if isinstance(node, list):
        return [without_descriptions(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: without_descriptions(each) for name, each in node.items() if name != "description"
    }


def test_the_schema_is_that_of_the_model_and_describes_all_fields() -> None:
    told = schema()
    bare = {"$schema": told["$schema"], **VerdictFile.model_json_schema()}
    assert without_descriptions(bare) == without_descriptions(told)
    assert told["properties"]["error"]["description"].startswith("What happened, if it is")
    assert told["properties"]["version"]["const"] == VERSION
    assert told["$defs"]["Result"]["enum"] == [str(result) for result in Result]
    parts = {
        name: part for name, part in told["$defs"].items() if name.endswith(("File", "Finding"))
    }
    assert len(parts) > 10
    for name, part in {"verdict": told, **parts}.items():
        assert described(part["properties"]) == [], name


def test_the_schema_has_every_kind_once_and_leaves_room_for_later_ones() -> None:
    parts = schema()["$defs"]
    later = parts.pop("LaterFinding")["properties"]["kind"]
    kinds = [
        kind
        for part in parts.values()
        if "kind" in part.get("properties", {})
        for kind in part["properties"]["kind"].get("enum") or [part["properties"]["kind"]["const"]]
    ]
    assert sorted(kinds) == sorted(FindingKind)
    assert (later["type"], later["not"]) == ("string", {"enum": sorted(FindingKind)})


def test_the_schema_describes_each_field_of_all_details() -> None:
    parts = schema()["$defs"]
    for details in {kind.details for kind in FindingKind}:
        told = parts[details.__name__]["properties"]
        assert list(told) == [field.name for field in dataclasses.fields(details)]
        assert described(told) == [], details.__name__


def test_the_schema_has_every_field_that_is_written() -> None:
    told = schema()
    assert set(written(WRONG)) == set(told["properties"])
    assert set(written(WRONG)["checks"][0]) == set(told["$defs"]["CheckFile"]["properties"])
