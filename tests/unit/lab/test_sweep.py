"""Which places a sweep has, what it found there, and the smallest one that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.faults.table import FAULTS
from harness.lab.sweep import At, Sweep, results
from harness.scenario.load import load_all

WRITES, REQUESTS = FAULTS["disk-write-error"], FAULTS["sdias-no-data"]


def test_places_begin_one_step_from_the_start():
    assert list(Sweep.of(WRITES, None, 4096, 13000).places) == [4096, 8192, 12288]
    assert list(Sweep.of(REQUESTS, 1, 10, 21).places) == [1, 11, 21]


@pytest.mark.parametrize(
    ("kind", "first", "every", "last", "what"),
    [
        (FAULTS["no-sdias"], None, 1, 9, "has no place"),
        (WRITES, None, 100, 9999, "multiple of 512"),
        (WRITES, 100, 512, 9999, "multiple of 512"),
        (REQUESTS, None, 0, 9, "no places"),
        (REQUESTS, 10, 1, 9, "no places"),
        (REQUESTS, None, 1, 10**6, "more than 5000 places"),
    ],
)
def test_what_cannot_be_swept(kind, first, every, last, what):
    with pytest.raises(UsageError, match=what):
        Sweep.of(kind, first, every, last)


def test_the_scenario_of_a_sweep_runs_at_each_place(tmp_path: Path):
    sweep = Sweep.of(WRITES, None, 4096, 8192)
    file = tmp_path / "sweep.toml"
    file.write_text(sweep.scenario("quick"))
    found = load_all(str(file))
    assert [each.scenario.faults.inject for each in found] == [
        ("disk-write-error:offset=4096",),
        ("disk-write-error:offset=8192",),
    ]
    assert found[0].scenario.crashed.smp == 1, "as quick"


def test_what_was_found_at_each_place(tmp_path: Path):
    sweep = Sweep.of(WRITES, None, 4096, 5 * 4096)
    file = tmp_path / "sweep.toml"
    file.write_text(sweep.scenario("quick"))
    names = [each.name for each in load_all(str(file))]
    runs = [
        {"name": name, "verdict": verdict, "directory": f"/elsewhere/run-{number}"}
        for number, (name, verdict) in enumerate(
            zip(names, ("PASS", "FAIL", "ERROR", "ERROR", "SKIPPED"), strict=True)
        )
    ]
    (tmp_path / "report.json").write_text(json.dumps({"runs": runs}))
    for number, cause in ((2, "FaultNotReached"), (3, "HostError")):
        (tmp_path / f"run-{number}").mkdir()
        (tmp_path / f"run-{number}" / "verdict.json").write_text(json.dumps({"cause": cause}))
    assert list(results(tmp_path, dict(zip(sweep.places, names, strict=True))).values()) == [
        At.PASS,
        At.FAIL,
        At.NOT_REACHED,
        At.ERROR,
        At.NOT_RUN,
    ]


@given(st.integers(1, 200), st.integers(1, 64))
def test_the_smallest_place_that_fails_is_found(smallest: int, every: int):
    sweep = Sweep.of(REQUESTS, None, every, 500)
    asked: list[int] = []

    def passes(place: int) -> bool:
        asked.append(place)
        return place < smallest

    failed = next(place for place in sweep.places if place >= smallest)
    assert sweep.smallest(failed, passes) == smallest
    assert len(asked) <= 8


def test_a_smallest_place_on_a_disk_is_a_block():
    sweep = Sweep.of(WRITES, None, 1 << 20, 1 << 22)
    assert sweep.smallest(1 << 21, lambda place: place < 0x155400) == 0x155400
