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
from tests.support.command_line.zharness import Zharness

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


def test_every_fault_of_machine_disk_and_system_ends_as_its_table_says(
    zharness: Zharness, tmp_path: Path
):
    done = zharness("run", "scenarios/machine/*.toml", "--json", "--output", tmp_path / "evidence")
    assert done.code == 0, done.err
    assert len(done.json["runs"]) >= 40


def test_zgetdump_takes_no_torn_dump_for_a_whole_one(zharness: Zharness, tmp_path: Path):
    done = zharness(
        "faults",
        "power-cuts",
        "quick",
        *("--points", 8, "--zgetdump", "--json", "--output", tmp_path / "cuts"),
        timeout=3000,
    )
    assert done.code == 0, done.err
    asked = [cut["zgetdump"] for cut in done.json["cuts"] if not cut["whole"]]
    assert len(asked) >= 8
    assert all(asked), "each time it said why not"


@pytest.mark.parametrize("layout", ["partition", "ext4"])
def test_two_hundred_power_cuts_leave_no_dump_that_looks_whole_and_is_wrong(
    zharness: Zharness, tmp_path: Path, layout: str
):
    done = zharness(
        "faults",
        "power-cuts",
        "quick",
        *("--disk-layout", layout, "--points", 200, "--json", "--output", tmp_path / "cuts"),
        timeout=3000,
    )
    assert done.code == 0, done.err
    assert len(done.json["cuts"]) >= 200
    assert done.json["failed"] == 0
    assert done.json["whole"] > 0
