"""Several real runs at once: verdicts, evidence, JUnit, and an end by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.support.command_line.left_behind import (
    END_SECONDS,
    SHARED_MEMORY,
    START_SECONDS,
    qemus_of,
    reached,
    wait_until,
)
from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e

GOOD = """\
description = "two dumps of one small crash"
extends = "panic"
[crashed]
memory = "256M"
[matrix]
hsa_size = ["32M", "64M"]
"""
BAD = """\
description = "a dump that does not fit its disk"
extends = "panic"
[crashed]
memory = "256M"
[dump]
disk_size = "128M"
"""


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    directory = tmp_path / "scenarios"
    directory.mkdir()
    (directory / "good.toml").write_text(GOOD)
    (directory / "bad.toml").write_text(BAD)
    return directory


def test_several_runs_at_once(zharness, images, scenarios, tmp_path):
    output, junit = tmp_path / "out", tmp_path / "junit.xml"
    shared_before = set(SHARED_MEMORY.iterdir())
    ran = zharness(
        "run", f"{scenarios}/**", "-j", 2, "--json", "--output", output, "--junit", junit
    )
    assert ran.code == 1, ran.err
    document = ran.json
    assert document["verdict"] == "FAIL"
    assert [(run["name"], run["verdict"]) for run in document["runs"]] == [
        ("bad", "FAIL"),
        ("good[hsa_size=32M]", "PASS"),
        ("good[hsa_size=64M]", "PASS"),
    ]
    for run in document["runs"]:
        evidence = Path(run["directory"])
        assert evidence.parent == output
        assert json.loads((evidence / "verdict.json").read_bytes())["verdict"] == run["verdict"]
        assert run["replay"] == f"zharness replay {evidence}"
        assert not (evidence / "disk.img").exists()
        assert not (evidence / "worker.log").exists()
    (suite,) = JUnitXml.fromfile(str(junit))
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 0)
    assert set(SHARED_MEMORY.iterdir()) == shared_before

    # the command in the report repeats the failure
    program, *again = document["runs"][0]["replay"].split()
    assert program == "zharness"
    replayed = zharness(*again, "--json", "--output", tmp_path / "again")
    assert replayed.code == 1, replayed.err
    assert "Disk too small" in json.dumps(replayed.json["checks"])


def test_an_interrupt_ends_all_runs(images, scenarios, tmp_path):
    output = tmp_path / "out"
    shared_before = set(SHARED_MEMORY.iterdir())
    process = subprocess.Popen(
        command("run", scenarios / "good.toml", "-j", 2, "--fresh", "--output", output),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # its children inherit the environment: that is how they are found again
        env={**os.environ, "ZHARNESS_TEST_EVIDENCE": str(output)},
    )
    try:
        runs = [output / "good-hsa_size=32M", output / "good-hsa_size=64M"]
        wait_until(
            lambda: all(reached(run, "boot") for run in runs) and len(qemus_of(output)) == 2,
            START_SECONDS,
            "two QEMUs",
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=END_SECONDS + 5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1] == "zharness: interrupted"
    assert "2 interrupted" in err
    assert "Traceback" not in err
    wait_until(lambda: not qemus_of(output), END_SECONDS, "all QEMUs end")
    assert set(SHARED_MEMORY.iterdir()) == shared_before
    for run in runs:
        assert not (run / "disk.img").exists()
        assert json.loads((run / "verdict.json").read_bytes())["verdict"] == "INTERRUPTED"


def test_a_kill_of_the_parent_takes_all_along(images, scenarios, tmp_path):
    output = tmp_path / "out"
    process = subprocess.Popen(
        command("run", scenarios / "good.toml", "-j", 1, "--output", output),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ZHARNESS_TEST_EVIDENCE": str(output)},
    )
    try:
        wait_until(lambda: qemus_of(output), START_SECONDS, "a QEMU")
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not qemus_of(output), END_SECONDS, "all QEMUs end")
