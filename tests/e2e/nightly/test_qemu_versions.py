"""The core of the end-to-end set on the QEMU of other Debian releases than the host's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.host.paths import default_store
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.qemu.debian import debian_qemu

pytestmark = pytest.mark.e2e

# the suite and its oldest QEMU release, to check that the host's QEMU is not used
SUITES = {"trixie": (10, 0), "sid": (11, 0)}
SCENARIOS = ("panic", "registers", "guest-dump-reipl")
SECONDS = 1800
CPUS, REGISTERS_PER_CPU = 4, 103


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def qemu(suite: str) -> Path:
    return debian_qemu(Store(default_store(), NoProgress()), NoProgress(), suite)


def test_the_core_passes(zharness, images, qemu, suite, tmp_path):
    output = tmp_path / "evidence"
    done = zharness(
        *("run", *SCENARIOS, "--json", "--output", output),
        timeout=SECONDS,
        ZHARNESS_QEMU=str(qemu),
    )
    assert done.out, done.err
    runs = {run["name"]: run for run in done.json["runs"]}
    assert {run["verdict"] for run in runs.values()} == {"PASS"}, done.out
    assert len(runs) == 6
    for name, run in runs.items():
        machine = json.loads(Path(run["directory"], "crash/machine.json").read_bytes())
        assert tuple(map(int, machine["qemu"].split("."))) >= SUITES[suite]
        if name.startswith("registers"):
            verdict = json.loads(Path(run["directory"], "verdict.json").read_bytes())
            (check,) = [each for each in verdict["checks"] if each["check"] == "registers"]
            assert check["compared"] == check["nonzero"] == CPUS * REGISTERS_PER_CPU


def test_a_dump_to_a_file_system_passes(zharness, images, qemu, tmp_path):
    options = ("--disk-layout", "ext4", "--output", tmp_path / "evidence")
    done = zharness("run", "quick", *options, ZHARNESS_QEMU=str(qemu))
    assert done.code == 0, done.out + done.err
