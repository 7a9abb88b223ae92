"""JUnit XML: read back by the library that CI systems' tools use, and always well-formed."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from harness import __version__
from harness.errors import HostError, UsageError
from harness.report import junit
from tests.support.runs.reports import broken, failed, passed, refused, report, run, verdict


@pytest.fixture
def read_back(tmp_path):
    def round_trip(*runs):
        junit.write(report(*runs), tmp_path / "junit.xml")
        (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
        return suite

    return round_trip


def test_each_result_has_its_element(read_back):
    suite = read_back(passed("a"), failed("b", "page 0x1000 differs"), broken("c"), run("d"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 1, 1)
    assert [case.name for case in suite] == ["a", "b", "c", "d"]
    results = [[type(result) for result in case.result] for case in suite]
    assert results == [[], [Failure], [Error], [Skipped]]


def test_a_case_says_file_and_time(read_back):
    (case,) = read_back(passed("panic[smp=2]"))
    assert case.name == "panic[smp=2]"
    assert case.classname == "scenarios/panic[smp=2].toml"
    assert case.time == 2.5
    assert case.system_out == "evidence: /runs/batch/panic[smp=2]"


def test_a_failure_says_what_where_and_how_to_run_it_again(read_back):
    (case,) = read_back(failed("b", "page 0x1000 differs", "page 0x2000 differs"))
    (failure,) = case.result
    assert failure.message == "page 0x1000 differs"
    assert failure.type == "verify"
    assert failure.text.splitlines() == [
        "pages: page 0x1000 differs",
        "pages: page 0x2000 differs",
        "evidence: /runs/batch/b",
        "replay: zharness replay /runs/batch/b",
    ]


def test_an_error_says_what_to_do(read_back):
    (case,) = read_back(broken("c", "waited 60 s; last lines:\n  | oops", hint="look"))
    (error,) = case.result
    assert error.message == "waited 60 s; last lines:"
    assert error.text.splitlines()[:3] == ["waited 60 s; last lines:", "  | oops", "hint: look"]


def test_a_usage_error_is_an_error_without_evidence(read_back):
    (case,) = read_back(refused("d", "no such kernel", hint="look"))
    (error,) = case.result
    assert isinstance(error, Error)
    assert (error.type, error.message) == ("usage", "no such kernel")
    assert error.text.splitlines() == ["no such kernel", "hint: look", "replay: zharness run"]
    assert case.system_out is None


def test_the_message_is_the_first_of_many_findings(read_back):
    (case,) = read_back(failed("b", *(f"page {n}" for n in range(junit.MAX_FINDINGS + 5))))
    lines = case.result[0].text.splitlines()
    assert lines[junit.MAX_FINDINGS] == "and 5 more, in verdict.json"
    assert len(lines) == junit.MAX_FINDINGS + 3


def test_one_not_run_says_why(read_back):
    (case,) = read_back(run("d", skipped="not run: another run failed before"))
    assert case.result[0].message == "not run: another run failed before"


def test_versions_are_properties_of_the_suite(read_back):
    inputs = {"QEMU": "7.2.0", "crashed kernel": {"release": "6.12"}}
    other = {**inputs, "crashed kernel": {"release": "6.1"}}
    suite = read_back(run("a", verdict(inputs=inputs)), run("b", verdict(inputs=other)))
    properties = {each.name: each.value for each in suite.properties()}
    assert properties["QEMU"] == "7.2.0"
    assert properties["crashed kernel.release"] == "6.1, 6.12"
    assert properties["harness"] == __version__


@given(st.text(), st.text())
def test_any_text_makes_a_document_that_can_be_read(message, name):
    text = junit.document(report(failed(name, message), broken(name, message))).tostring()
    first = ElementTree.fromstring(text).find(".//failure")
    assert first is not None
    printable = "".join(each for each in message if each.isascii() and each.isprintable())
    assert set(printable) <= set(first.text or "")


def test_control_characters_stay_visible(read_back):
    (case,) = read_back(failed("b", "\x1b[31mred\x00\r\ufffe \ud800"))
    assert case.result[0].text.splitlines()[0] == ("pages: \\x1b[31mred\\x00\\r\\ufffe \\ud800")


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path, why in (
        (tmp_path / "none/junit.xml", "No such file"),
        (tmp_path / "file/junit.xml", "Not a directory"),
        (tmp_path / ("long" * 100), "File name too long"),
        (tmp_path, "Is a directory"),
        (Path("/proc/junit.xml"), "No such file"),  # may be written to, says even its mode to root
    ):
        with pytest.raises(UsageError, match=f"cannot be written: {why}"):
            junit.check_writable(path)
    with pytest.raises(HostError, match="cannot be written"):
        junit.write(report(passed("a")), tmp_path)


def test_asking_whether_it_can_be_written_changes_nothing(tmp_path):
    junit.check_writable(tmp_path / "new.xml")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.xml").write_text("old")
    junit.check_writable(tmp_path / "old.xml")
    assert (tmp_path / "old.xml").read_text() == "old"
    os.mkfifo(tmp_path / "pipe")
    junit.check_writable(tmp_path / "pipe")  # with nobody at its other end
