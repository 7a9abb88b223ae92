"""Both ways to hold the machine at service signals give the same dump, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.files import sparse
from harness.images.hold_plugin import ENVIRONMENT, Intercept
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

DIFFERENT = {"seconds", "intercepted_by", "result_line"}  # the line has seconds, too
COUNTED_LINES = "console"  # Linux prints some when it finds the time


def told(evidence: Path) -> dict[str, Any]:
    """What must be equal: what was observed, and the digest of the dump."""
    outcome = json.loads((evidence / "dump/outcome.json").read_bytes())
    verdict = json.loads((evidence / "verdict.json").read_bytes())
    same = {name: value for name, value in outcome.items() if name not in DIFFERENT}
    checks = {
        each["check"]: (
            each["passed"],
            each["skipped"],
            each["findings"],
            None if each["check"] == COUNTED_LINES else each["compared"],
        )
        for each in verdict["checks"]
    }
    dump = evidence / "dump/dump"
    digest = sparse.digest(dump) if dump.is_file() else None
    return {"outcome": same, "checks": checks, "dump": digest}


def way(evidence: Path) -> str:
    outcome = json.loads((evidence / "dump/outcome.json").read_bytes())
    return str(outcome["intercepted_by"])


@pytest.mark.parametrize("scenario", ["quick", "sdias[inject=['sdias-asynchronous']]"])
def test_both_ways_give_the_same(zharness: Zharness, images: object, tmp_path: Path, scenario: str):
    found = {}
    for each in (Intercept.GDBSTUB, Intercept.PLUGIN):
        output = tmp_path / each
        ran = zharness("run", scenario, "--output", output, **{ENVIRONMENT: str(each)})
        assert ran.code == 0, ran.err
        assert way(output) == each
        found[each] = told(output)
    assert found[Intercept.GDBSTUB] == found[Intercept.PLUGIN]
    assert found[Intercept.PLUGIN]["outcome"]["sdias_requests"] > 1000
    assert found[Intercept.PLUGIN]["dump"] is not None


def test_a_plugin_that_cannot_be_loaded_is_told(zharness: Zharness, images: object, tmp_path: Path):
    ran = zharness("run", "quick", "--output", tmp_path / "x", **{ENVIRONMENT: "magic"})
    assert ran.code == 2
    assert "auto, plugin, gdbstub" in ran.err
