"""The index: what is on it, what cannot get on it, and how large it is."""

from __future__ import annotations

from harness.results.page.chosen import Links, choose_runs
from harness.results.page.index import index_page
from tests.support.runs.html import checked
from tests.support.runs.nights import attempt, night

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"
KNOWN = {"1:FAIL": "https://bugs/7"}


def morning():
    return [
        night(1, a=attempt(kernel="6.12"), b=attempt(), f=attempt()),
        night(2, a=attempt("FAIL", kernel="6.13"), b=attempt(), f=(attempt("FAIL"), attempt())),
    ]


def test_a_morning():
    page = checked(index_page(morning(), KNOWN, Links()))
    assert "2 did not pass" in page.text
    assert "known: https://bugs/7" in page.text
    assert "6.12" in page.text
    assert "6.13" in page.text
    assert "Flaky scenarios" in page.text
    assert page.links == []


def test_changes_and_cells_lead_to_the_runs_that_have_a_page():
    history = morning()
    page = checked(index_page(history, {}, Links(choose_runs(history))))
    assert sorted(page.links) == [
        *["runs/2-1-a.html"] * 2,  # its change, its cell
        "runs/2-1-b.html",
        *["runs/2-1-f.html"] * 2,
        "runs/2-2-f.html",
    ]


def test_nothing_of_others_is_markup():
    bad = attempt("FAIL", signature=EVIL, **{EVIL: EVIL})
    history = [night(1, **{EVIL: attempt(**{EVIL: "x"})}), night(2, **{EVIL: bad})]
    text = index_page(history, {EVIL: EVIL}, Links(choose_runs(history)))
    page = checked(text)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text
    assert set(page.links) == {"runs/2-1--script-alert-1-script-31m.html"}


def test_a_matrix_is_a_table():
    names = [f"m[hsa={hsa},layout={layout}]" for hsa in ("1M", "2M") for layout in ("ext4", "ext2")]
    text = index_page([night(1, **{name: attempt() for name in names[:3]})], {}, Links())
    assert "<caption" in text
    assert "hsa" in checked(text).text
