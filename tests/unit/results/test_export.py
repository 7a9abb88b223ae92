"""Forms for other programs: whatever a name or a message holds, the form stays whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC
from email import message_from_string
from email.policy import default
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.printable import printable
from harness.results.export import export
from harness.results.form import Form
from harness.results.nights import Attempt, Night, changes
from harness.results.told import lines as told
from tests.support.runs.nights import attempt, night

HEADERS = sorted(
    [
        *("From", "Date", "Message-ID", "Subject", "Auto-Submitted"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    ]
)
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
    as_mail = export(now, found, Form.MAIL)
    assert as_mail.isascii()
    read = message_from_string(as_mail, policy=default)
    assert sorted(read.keys()) == HEADERS
    assert all(not part.defects for part in read.values())
    assert read.get_content().splitlines() == [printable(line) for line in told(now, found)]
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


def test_a_mail_tells_the_morning():
    now = replace(night(2, a=attempt("FAIL"), b=attempt()), asked=("a", "b", "c"))
    text = export(now, changes([night(1, a=attempt()), now], {}), Form.MAIL)
    read = message_from_string(text, policy=default)
    assert read["Subject"] == "night, night 2: 1 of 2 did not pass, 1 new, 1 not run"
    assert read["From"] == "zharness <zharness@host>"
    assert read["Date"].datetime == now.started.replace(tzinfo=UTC)
    assert "new failure: a\n" in read.get_content()


@given(
    st.builds(
        lambda host, series: replace(night(1, a=attempt()), host=host, series=series),
        host=st.text() | st.sampled_from(["h\nBcc: x@y", "h>, <x@y", "a..b", "-a", "a" * 64]),
        series=st.text(min_size=1) | st.just("s\r\nBcc: x@y"),
    )
)
def test_no_name_becomes_a_header_or_an_address(now):
    read = message_from_string(export(now, [], Form.MAIL), policy=default)
    assert sorted(read.keys()) == HEADERS
    (sender,) = read["From"].addresses
    assert (sender.username, bool(sender.domain)) == ("zharness", True)
    assert re.fullmatch(r"<[A-Za-z0-9-]+@[A-Za-z0-9.-]+>", read["Message-ID"].strip())
