"""Forms for other programs: whatever a name or a message holds, the form stays whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.export import export
from harness.results.form import Form
from harness.results.nights import Attempt, Night, changes
from tests.support.runs.nights import attempt, night

ID = re.compile(r"[a-z0-9_]+:[^\0]*")


def made(name: str, message: str) -> Night:
    bad = Attempt("FAIL", 1.5, message, f"1:{message}", None, message, {"QEMU": message})
    return night(2, **{name: (bad, attempt()), "other": attempt()})


@given(name=st.text(min_size=1), message=st.text())
def test_every_form_holds_any_text(name, message):
    now = made(name, message)
    found = changes([now], {f"1:{message}": message})
    ElementTree.fromstring(export(now, found, Form.JUNIT))
    document = json.loads(export(now, found, Form.KCIDB))
    assert all(ID.fullmatch(test["id"]) for test in document["tests"])
    lines = export(now, found, Form.KTAP).splitlines()
    assert lines[0] == "KTAP version 1"
    assert len([line for line in lines if re.match(r"(not )?ok \d", line)]) == len(now.outcomes)
    rows = [line for line in export(now, found, Form.SUMMARY).splitlines() if line[:1] == "|"]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)


@pytest.mark.parametrize(
    ("result", "status"), [("PASS", "PASS"), ("FAIL", "FAIL"), ("ERROR", "MISS"), ("USAGE", "MISS")]
)
def test_kernel_ci_knows_which_code_was_wrong(result, status):
    """MISS: the status of the tested code is unknown (kcidb-io, schema 5.3)."""
    now = night(1, a=attempt(result, **{"dump kernel.sha256": "ab" * 32}))
    document = json.loads(export(now, [], Form.KCIDB))
    assert document["tests"][0]["status"] == status
    assert document["builds"][0]["id"].endswith("ab" * 8)


def test_what_was_not_run_is_no_pass_in_any_form():
    now = replace(night(1, a=attempt()), asked=("a", "b"))
    assert "<skipped" in export(now, [], Form.JUNIT)
    assert "not ok 2 b # TIMEOUT not run" in export(now, [], Form.KTAP)
    document = json.loads(export(now, [], Form.KCIDB))
    assert [test["status"] for test in document["tests"]] == ["PASS", "MISS"]
