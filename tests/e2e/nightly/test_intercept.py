"""Both ways to hold the machine at service signals give the same, with every kind of fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.images.hold_plugin import ENVIRONMENT, Intercept
from tests.support.command_line.zharness import Zharness
from tests.support.runs.told import told, way

pytestmark = pytest.mark.e2e

SETS = ("*.toml", "machine/")  # of scenarios/
SCENARIOS = Path(__file__).parents[3] / "scenarios"
SECONDS = 7200
LEAST = 60


def test_both_ways_give_the_same(zharness: Zharness, images: object, tmp_path: Path):
    found, ways = {}, {}
    for each in (Intercept.GDBSTUB, Intercept.PLUGIN):
        output = tmp_path / each
        ran = zharness(
            *("run", *(f"{SCENARIOS}/{name}" for name in SETS), "-j", "2", "--output", output),
            timeout=SECONDS,
            **{ENVIRONMENT: str(each)},
        )
        assert ran.code == 0, ran.err
        runs = [path.parent for path in sorted(output.glob("*/verdict.json"))]
        found[each] = {run.name: told(run) for run in runs}
        ways[each] = {way(run) for run in runs}
    assert ways[Intercept.GDBSTUB] == {Intercept.GDBSTUB}
    assert Intercept.PLUGIN in ways[Intercept.PLUGIN]
    assert found[Intercept.GDBSTUB].keys() == found[Intercept.PLUGIN].keys()
    assert len(found[Intercept.PLUGIN]) > LEAST
    different = []
    for name, one in found[Intercept.GDBSTUB].items():
        other = found[Intercept.PLUGIN][name]
        parts = [part for part in one if one[part] != other[part]]
        if parts == ["dump"]:  # a stand-alone dump has the time at which it was made
            dumps = [tmp_path / each / name / "dump/dump" for each in found]
            parts = [] if zharness("dump", "compare", *dumps).code == 0 else parts
        different += [f"{name}: {part}" for part in parts]
    assert different == []
