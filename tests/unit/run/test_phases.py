"""Phases: their time, their limits, and their lines in the journal."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from harness.evidence.journal import MOST_LINES, Journal
from harness.phase import Phase
from harness.progress import NoProgress
from harness.run import phases as module
from harness.run.phases import GIB, PHASES, STALL_SECONDS, Phases, most_seconds


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Told(NoProgress):
    """Keeps what was announced."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    @contextmanager
    def task(self, what, total=None, unit=""):
        self.tasks.append(what)
        with super().task(what, total, unit) as task:
            yield task


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        yield journal


@pytest.fixture
def phases(journal):
    return Phases(journal, NoProgress(), memory=2 * GIB, time_factor=3.0)


def written(tmp_path):
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    return [(line["phase"], line["event"]) for line in map(json.loads, lines)]


def test_a_phase_that_is_entered_again_adds_to_its_time(phases, clock):
    for seconds in (2.0, 3.5):
        with phases.phase(Phase.CRASH):
            clock.now += seconds
    with phases.work(Phase.VERIFY):
        clock.now += 1.0
    assert phases.timings == {"crash": 5.5, "verify": 1.0}


def test_each_stay_is_in_the_journal(phases, clock, tmp_path):
    for seconds in (2.0, 3.5):
        with phases.phase(Phase.CRASH):
            clock.now += seconds
    lines = map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
    assert [line["seconds"] for line in lines if line["event"] == "end"] == [2.0, 3.5]


def test_a_deadline_grows_with_memory_and_factor(phases):
    limit = PHASES[Phase.DUMP]
    with phases.phase(Phase.DUMP) as deadline:
        assert deadline.seconds == (limit.seconds + 2 * limit.per_gib) * 3.0
    assert phases.stall_seconds == STALL_SECONDS * 3.0


def test_a_failed_phase_stays_the_current_one_and_has_its_time(phases, clock, tmp_path):
    def boot() -> None:
        with phases.phase(Phase.BOOT):
            assert phases.current == "boot"
            clock.now += 4.0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        boot()
    assert phases.current == "boot"
    assert phases.timings == {"boot": 4.0}
    assert written(tmp_path) == [("boot", "begin")]


def test_after_a_phase_there_is_none(phases, tmp_path):
    with phases.work(Phase.COLLECT):
        phases.note("found")
    phases.note("afterwards")
    assert phases.current is None
    assert written(tmp_path) == [
        ("collect", "begin"),
        ("collect", "found"),
        ("collect", "end"),
        (None, "afterwards"),
    ]


def test_a_guest_cannot_make_the_journal_grow_for_ever(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        for number in range(MOST_LINES + 7):
            journal.write(Phase.DUMP, "DIAG 308", {"number": number})
        journal.write(Phase.DUMP, "end", {"said": "\x1b[2J\u202e"})
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines[-2:]] == ["end", "left out"]
    assert (lines[-1]["of"], lines[-1]["lines"]) == ("DIAG 308", 7)
    assert [line["number"] for line in lines[:-2]] == list(range(MOST_LINES))
    assert (tmp_path / "journal.jsonl").read_bytes().replace(b"\n", b"").isascii()
    assert b"\x1b" not in (tmp_path / "journal.jsonl").read_bytes()


def test_every_phase_says_what_it_does(journal):
    assert list(PHASES) == list(Phase)
    told = Told()
    phases = Phases(journal, told, memory=GIB, time_factor=1.0)
    with phases.phase(Phase.IPL), phases.work(Phase.IMAGES):
        pass
    assert told.tasks == [PHASES[Phase.IPL].what, PHASES[Phase.IMAGES].what]


def test_whoever_asks_is_told_each_phase_by_its_name(journal):
    told: list[Phase] = []
    phases = Phases(journal, NoProgress(), memory=GIB, time_factor=1.0, on_phase=told.append)
    with phases.work(Phase.IMAGES), phases.phase(Phase.CRASH):
        pass
    assert told == [Phase.IMAGES, Phase.CRASH]


def test_all_phases_together_are_the_limit_of_a_run():
    assert 7200 < most_seconds(GIB, 1.0) < 86400
    assert most_seconds(GIB, 1.0) > sum(limit.seconds for limit in PHASES.values())
    assert most_seconds(GIB, 3.0) == 3 * most_seconds(GIB, 1.0)
    assert most_seconds(2 * GIB, 1.0) > most_seconds(GIB, 1.0)
