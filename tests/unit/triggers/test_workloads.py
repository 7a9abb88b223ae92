"""The table of workloads: each row is complete, in a scenario, and documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.scenario.load import load_all, scenario_files
from harness.triggers.system_kind import MINIMAL, SystemKind
from harness.triggers.workloads import WORKLOADS, workload_of
from tests.support.command_line.documents import documented

DOCUMENT = (Path(__file__).parents[3] / "docs/triggers.md").read_text()
MIB = 1 << 20


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
def test_a_workload_is_complete(workload):
    assert bool(workload.command) is not bool(workload.script)
    assert workload.counter
    assert "\n" not in workload.command + workload.counter
    assert workload.systems
    if workload.script:
        assert (data_dir() / "images" / workload.script).stat().st_mode & 0o111 == 0o111


def test_every_script_is_a_workload():
    scripts = {path.name for path in (data_dir() / "images/system/workloads").iterdir()}
    assert scripts == {each.name for each in WORKLOADS.values() if each.script}


def test_every_workload_has_a_scenario():
    used = {each.scenario.crashed.workload for name in scenario_files() for each in load_all(name)}
    assert used >= set(WORKLOADS)


def test_the_documentation_has_every_workload():
    where = {MINIMAL: "minimal"}
    rows = [
        (each.name, each.summary, where.get(each.systems, "full" if len(each.systems) == 1 else ""))
        for each in WORKLOADS.values()
    ]
    assert documented(DOCUMENT, "workload") == [(*row[:2], row[2] or "every") for row in rows]


def test_an_unknown_name_is_refused_with_what_is_near():
    with pytest.raises(UsageError, match="no workload 'fork-strom'") as caught:
        workload_of("fork-strom")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean 'fork-storm'?")


@pytest.mark.parametrize("word", ["./busy", "/tmp/load.sh", "mine/load"])
def test_a_word_with_a_slash_is_a_script_of_the_users_own(word):
    workload = workload_of(word)
    assert (workload.name, workload.script) == (word.rpartition("/")[2], word)
    assert workload.given
    workload.require(SystemKind.FULL, 1, 0)


@pytest.mark.parametrize(
    ("name", "system", "cpus", "what"),
    [
        ("loopback", SystemKind.MINIMAL, 2, "loopback does not run on a minimal system; there are"),
        ("busy", SystemKind.FULL, 2, "busy does not run on a full system; there are: fork-storm"),
        ("many-cpus", SystemKind.FULL, 1, "smp: workload many-cpus needs 2 CPUs"),
    ],
)
def test_a_workload_that_does_not_fit_names_what_would(name, system, cpus, what):
    with pytest.raises(ValueError, match=what):
        workload_of(name).require(system, cpus, 512 * MIB)


def test_what_is_done_identifies_a_crash_and_how_it_is_proved_does_not():
    busy = workload_of("busy").identity()
    assert busy.keys() == {"name", "summary", "command"}, "or all stored crashes get new names"
    storm = workload_of("fork-storm")
    assert storm.identity("a") != storm.identity("b")
