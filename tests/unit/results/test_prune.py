"""Which evidence goes: never that of a failure that was seen first or last."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from harness.evidence.pack.pack import pack
from harness.evidence.pack.store import PageStore
from harness.progress import NoProgress
from harness.results.nights import Night
from harness.results.prune import choose, remove, swept
from tests.support.runs.nights import attempt, night

NOW = datetime(2026, 11, 20)


@pytest.fixture
def history(tmp_path: Path) -> list[Night]:
    made = []
    for number in range(1, 11):
        bad = 3 <= number <= 6
        each = night(number, a=attempt("FAIL" if bad else "PASS"), b=attempt())
        place = tmp_path / "night" / f"{number:04}"
        (place / "runs").mkdir(parents=True)
        (place / "runs/batch.json").touch()
        (place / "file").write_bytes(b"x" * 9000)
        made.append(replace(each, evidence=str(place), pinned=number == 2, host=platform.node()))
    return made


def test_what_stays_and_why(history):
    found = {each.night.number: each for each in choose(history, NOW, nights=2, days=13)}
    assert {number for number, each in found.items() if each.goes} == {1, 4, 5}
    assert found[2].why == "pinned"
    assert found[3].why == found[6].why == "the first or last with one of its failures"
    assert found[7].why == "younger than 13 days"
    assert found[10].why == "one of the last 2"
    assert found[1].size >= 9000


def test_what_goes_is_gone(history):
    for each in choose(history, NOW, nights=0, days=None):
        if each.goes:
            remove(each)
    left = {each.number for each in history if Path(each.evidence).exists()}
    assert left == {2, 3, 6}
    assert [each.night.number for each in choose(history, NOW, nights=0, days=None)] == [2, 3, 6]


def test_nights_that_are_only_young_go_until_the_rest_is_small_enough(history):
    (size,) = {each.size for each in choose(history, NOW, nights=10, days=None)}
    goes = {
        limit: [
            each.night.number
            for each in choose(history, NOW, nights=10, days=None, size=limit * size)
            if each.goes
        ]
        for limit in (10, 9, 7, 0)
    }
    assert goes == {10: [], 9: [1], 7: [1, 4, 5], 0: [1, 4, 5, 7, 8, 9]}


def test_packs_that_another_night_needs_free_nothing(history):
    def packed(at: int, *numbers: int) -> None:
        run = Path(history[at].evidence) / "runs/one/crash"
        run.mkdir(parents=True)
        content = b"".join(Random(number).randbytes(64 << 10) for number in numbers)
        (run / "ram.img").write_bytes(content)
        store = PageStore.of_series(Path(history[at].evidence).parent)
        pack(run.parent, store, NoProgress())

    packed(0, 1)
    packed(9, 1, 2)
    packed(6, 3)
    sizes = PageStore.of_series(Path(history[0].evidence).parent).sizes()
    assert len(sizes) == 3
    choices = choose(history, NOW, nights=10, days=None)
    limit = sum(each.size for each in choices) + sum(sizes.values()) - (64 << 10)
    more = choose(history, NOW, nights=10, days=None, size=limit)
    assert [each.night.number for each in more if each.goes] == [1, 4, 5, 7]
    assert "all is more than" in more[0].why
    would = swept(history, more, dry_run=True)
    assert would > 64 << 10
    assert len(PageStore.of_series(Path(history[0].evidence).parent).sizes()) == 3
    for each in more:
        if each.goes:
            remove(each)
    assert swept(history, more, dry_run=False) == would
    assert len(PageStore.of_series(Path(history[0].evidence).parent).sizes()) == 2
    assert swept(history, more, dry_run=False) == 0


@pytest.mark.parametrize(
    "changed",
    [{"host": "elsewhere"}, {"series": "other"}, {"number": 77}, {"evidence": "/"}],
)
def test_only_a_nights_own_evidence_is_ever_removed(history, changed):
    one = replace(history[0], **changed)
    assert choose([one], NOW, nights=0, days=None) == []


def test_a_night_that_has_not_ended_stays(history):
    (choice,) = choose([replace(history[0], ended=None)], NOW, nights=0, days=None)
    assert (choice.goes, choice.why) == (False, "not ended")
