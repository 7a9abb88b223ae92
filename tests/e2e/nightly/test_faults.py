"""Faults that nobody made: each is found by the check that names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.host.paths import data_dir

pytestmark = pytest.mark.e2e

SCENARIOS = sorted((data_dir() / "scenarios/faults").glob("*.toml"))
SECONDS = 3000
PATCH = Path(__file__).parent / "patches/dump-tool-releases-early.patch"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_the_scenario_has_its_expected_verdict(scenario, zharness, images, tmp_path):
    ran = zharness("run", scenario, "--output", tmp_path / "evidence", timeout=SECONDS)
    assert ran.code == 0, ran.out + ran.err


def test_a_dump_tool_that_releases_the_hsa_early_is_named(images, tmp_path):
    tree = tmp_path / "tree"
    for part in ("harness", "images", "scenarios"):
        shutil.copytree(data_dir() / part, tree / part)
    subprocess.run(["patch", "-d", tree, "-p1", "--batch", "-i", PATCH], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "harness", "run", "quick", "--json", "--output", tmp_path / "run"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    (check,) = [each for each in json.loads(ran.stdout)["checks"] if each["check"] == "outcome"]
    kinds = [finding["kind"] for finding in check["findings"]]
    assert kinds == ["not-finished", "hsa-released-early"]
    assert "memory at 0x428000 was there" in check["findings"][1]["message"]
