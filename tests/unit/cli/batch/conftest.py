"""A working directory with scenarios, whose runs are fake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import app
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.batch import local_run
from harness.run.plan import Plan
from tests.support import FAKE_WORKER

FAKE = [sys.executable, str(FAKE_WORKER)]
PLAIN = "description = 'x'\n"
MATRIX = "description = 'x'\n[matrix]\nhsa_size = ['32M', '64M']\n"

Zharness = Callable[..., int]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with scenarios that tell fake workers what to do."""
    for name in ("passing", "failing", "erring", "refusing", "dying", "hanging", "telling_much"):
        (tmp_path / f"{name}.toml").write_text(PLAIN)
    (tmp_path / "m.toml").write_text(MATRIX)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHARNESS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(local_run, "worker_command", lambda: FAKE)
    return tmp_path


@pytest.fixture
def zharness(here: Path) -> Zharness:
    def call(*arguments: object) -> int:
        return app([str(each) for each in arguments], standalone_mode=False)

    return call


@pytest.fixture
def engine_runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of the engine in this process."""
    calls: list[dict[str, Any]] = []

    def run(plan: Plan, **options: Any) -> Verdict:
        calls.append({"plan": plan, **options})
        return Verdict(Result.PASS, options["output"])

    monkeypatch.setattr(engine, "run", run)
    return calls
