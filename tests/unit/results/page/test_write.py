"""The page: what is on it, what cannot get on it, and how large it is."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.results.page.write import page, plot, write
from harness.results.statistics import Point
from tests.support.runs.nights import attempt, night

EVIL = "<script>alert(1)</script>\x1b[31m\u202e"
VOID = {"meta", "line", "polyline", "circle"}


class Checked(HTMLParser):
    """Every element is closed in its turn; nothing leads out of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "img")
        assert not {"src", "href", "onclick"} & {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def checked(text: str) -> str:
    parser = Checked()
    parser.feed(text)
    assert parser.open == []
    return parser.text


def test_a_morning():
    history = [
        night(1, a=attempt(kernel="6.12"), b=attempt(), f=attempt()),
        night(2, a=attempt("FAIL", kernel="6.13"), b=attempt(), f=(attempt("FAIL"), attempt())),
    ]
    text = checked(page(history, {"1:FAIL": "https://bugs/7"}))
    assert "2 did not pass" in text
    assert "known: https://bugs/7" in text
    assert "6.12" in text
    assert "6.13" in text
    assert "Flaky scenarios" in text


def test_nothing_of_others_is_markup():
    bad = attempt("FAIL", signature=EVIL, **{EVIL: EVIL})
    history = [night(1, **{EVIL: attempt(**{EVIL: "x"})}), night(2, **{EVIL: bad})]
    text = page(history, {EVIL: EVIL})
    checked(text)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_thirty_nights_of_162_scenarios_are_small():
    history = [
        night(
            number,
            **{
                f"scenario-{each}[hsa_size=32M,smp=4]": attempt(
                    "PASS" if (each + number) % 40 else "FAIL"
                )
                for each in range(162)
            },
        )
        for number in range(1, 31)
    ]
    text = page(history, {})
    checked(text)
    assert len(text.encode()) < 5_000_000


def test_a_matrix_is_a_table():
    names = [f"m[hsa={hsa},layout={layout}]" for hsa in ("1M", "2M") for layout in ("ext4", "ext2")]
    text = page([night(1, **{name: attempt() for name in names[:3]})], {})
    assert "<caption" in text
    assert "hsa" in checked(text)


@pytest.mark.parametrize("ratios", [[], [None] * 5, [1.0], [None, 1.1]])
def test_without_two_nights_there_is_no_plot(ratios):
    assert plot([Point(number, ratio, 9) for number, ratio in enumerate(ratios)]) is None


def test_a_plot_stays_within_its_frame():
    found = plot([Point(number, ratio, 9) for number, ratio in enumerate([1.0, 3.0, 0.2, None, 1])])
    assert found is not None
    assert all(0 <= x <= found.width and 0 <= y <= found.height for x, y, _ in found.dots)
    assert len(found.dots) == 4


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(HostError, match=r"none/report\.html"):
        write(tmp_path / "none/report.html", [night(1, a=attempt())], {})
