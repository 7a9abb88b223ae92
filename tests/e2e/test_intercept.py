"""Both ways to hold the machine at service signals give the same dump, bit for bit.

``nightly/test_intercept.py`` has more scenarios.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.images.hold_plugin import ENVIRONMENT, Intercept
from tests.support.command_line.zharness import Zharness
from tests.support.runs.told import told, way

pytestmark = pytest.mark.e2e


def test_both_ways_give_the_same(zharness: Zharness, images: object, tmp_path: Path):
    found = {}
    for each in (Intercept.GDBSTUB, Intercept.PLUGIN):
        output = tmp_path / each
        ran = zharness("run", "quick", "--output", output, **{ENVIRONMENT: str(each)})
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
