"""The command replay, with an engine that runs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import EvidenceError, UsageError
from harness.run.plan import plan_of
from harness.scenario.load import load
from harness.scenario.select import select


@pytest.fixture
def evidence(here: Path) -> Callable[..., Path]:
    def make(**document: Any) -> Path:
        directory = here / "evidence"
        directory.mkdir()
        (directory / "run.json").write_text(json.dumps(document))
        return directory

    return make


def test_a_replay_runs_the_plan_of_the_evidence(zharness, engine_runs, evidence, capsys):
    (concrete,) = select(["m.toml[hsa_size=32M]"])
    plan = plan_of(concrete.name, concrete.scenario, time_factor=3.0)
    former = evidence(plan=plan.to_json(), inputs={"crashed kernel": {}, "snapshot": "x"})
    given = ("--output", "out", "--keep", "--fresh", "--judges", "--json")
    assert zharness("replay", former, *given) == 0
    (call,) = engine_runs
    assert call["plan"] == plan
    assert (call["output"], call["keep"], call["fresh"]) == (Path("out"), True, True)
    assert call["judges"]
    assert json.loads(capsys.readouterr().out)["verdict"] == "PASS"


def test_a_replay_builds_what_is_trusted_and_says_so(zharness, engine_runs, evidence, capsys):
    (concrete,) = select(["m.toml[hsa_size=32M]"])
    plan = plan_of(concrete.name, concrete.scenario).to_json()
    plan["scenario"]["dump"]["source"] = "/elsewhere/linux@v6.9"
    former = evidence(plan=plan, inputs={"crashed kernel": {}})
    with pytest.raises(UsageError, match="trusted"):
        zharness("replay", former)
    assert engine_runs == []
    assert zharness("replay", former, "--trust") == 0
    assert len(engine_runs) == 1
    assert capsys.readouterr().err.count("builds the source /elsewhere/linux@v6.9") == 2


def test_a_replay_of_a_directory_without_evidence_is_refused(zharness, evidence, here):
    with pytest.raises(EvidenceError, match=r"run\.json: No such file"):
        zharness("replay", here)
    with pytest.raises(EvidenceError, match=r"run\.json: name"):
        zharness("replay", evidence(plan={}, inputs={}))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("3", "JSON object"),
        ("{}", "plan"),
        ('{"plan": 3}', "plan"),
        ('{"plan": {}}', "inputs"),
        ('{"plan": {}, "inputs": null}', "inputs"),
    ],
)
def test_a_replay_of_a_foreign_run_json(zharness, here, text, what):
    (here / "run.json").write_text(text)
    with pytest.raises(EvidenceError, match=rf"run\.json: holds no {what}"):
        zharness("replay", here)


def test_a_dump_of_a_stored_crash_is_dumped_again_otherwise(zharness, evidence):
    plan = plan_of("dump", load("panic"))
    former = evidence(plan=plan.to_json(), inputs={"snapshot": "sysrq-c"})
    with pytest.raises(UsageError, match="dump of a stored crash") as caught:
        zharness("replay", former)
    assert caught.value.hint == f"zharness dump {former}/crash/ dumps it again"
