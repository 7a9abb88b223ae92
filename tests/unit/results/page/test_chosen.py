"""Which runs have a page, and that its name stays in its directory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.results.page.chosen import choose_runs
from tests.support.runs.nights import attempt, night


def test_all_of_the_last_night_and_failures_of_the_others():
    history = [
        night(1, a=attempt("FAIL"), b=attempt()),
        night(2, a=(attempt("FAIL"), attempt()), b=attempt("ERROR")),
        night(3, a=attempt(), b=attempt("FAIL")),
    ]
    files = {run.file: run.attempt.result for run in choose_runs(history)}
    assert files == {
        "3-1-a.html": "PASS",
        "3-1-b.html": "FAIL",
        "2-1-a.html": "FAIL",
        "2-1-b.html": "ERROR",
        "1-1-a.html": "FAIL",
    }


@given(st.lists(st.text() | st.sampled_from(["../../x", "a/b", "a-b", "A-b", "..", "\0"])))
def test_names_of_files_are_different_and_lead_nowhere_else(names):
    files = [run.file for run in choose_runs([night(1, **dict.fromkeys(names, attempt()))])]
    assert len({file.casefold() for file in files}) == len(set(names))
    for file in files:
        assert file.startswith("1-1")
        assert not set(file) & set("/\\:?#%&\"'<> \0")
        assert len(file) < 120
