"""The report as one file, and as a folder."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.results.page.write import write
from tests.support.runs.html import checked
from tests.support.runs.nights import attempt, night


def test_one_file_leads_nowhere(tmp_path: Path):
    file = tmp_path / "report.HTML"
    assert write(file, [night(1, a=attempt("FAIL"))], {}) == 0
    assert checked(file.read_text()).links == []
    assert list(tmp_path.iterdir()) == [file]


def test_every_link_of_a_folder_leads_to_a_page_of_it(tmp_path: Path):
    place = tmp_path / "new/report"
    history = [night(1, a=attempt("FAIL")), night(2, **{"../a": attempt(), "b": attempt("ERROR")})]
    for _ in range(2):
        assert write(place, history, {}) == 3
    pages = {page.resolve() for page in place.rglob("*") if page.is_file()}
    assert pages == {path.resolve() for path in tmp_path.rglob("*") if path.is_file()}
    reached = {place / "index.html"}
    for page in pages:
        for link in checked(page.read_text()).links:
            target = (page.parent / link).resolve()
            assert target in pages
            reached.add(target)
    assert reached == pages


def test_thirty_nights_of_162_scenarios_are_small(tmp_path: Path):
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    history = [
        night(
            number,
            **{
                f"scenario-{each}[hsa_size=32M,smp=4]": replace(
                    attempt("PASS" if (each + number) % 40 or number == 30 else "FAIL"),
                    headline="it differs " * 100,
                    evidence=str(evidence),
                )
                for each in range(162)
            },
        )
        for number in range(1, 31)
    ]
    failed = sum(len(each.failed) for each in history)
    history = [replace(each, host=platform.node()) for each in history]
    assert write(tmp_path / "report", history, {}) == 162 + failed
    index = tmp_path / "report/index.html"
    checked(index.read_text())
    assert index.stat().st_size < 5_000_000
    assert len(list((tmp_path / "report/runs").iterdir())) == 162 + failed


@pytest.mark.parametrize("name", ["none/report.html", "file/report", "file"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=name):
        write(tmp_path / name, [night(1, a=attempt())], {})
