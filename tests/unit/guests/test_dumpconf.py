"""The service that sets dump device and shutdown actions, on files in place of sysfs."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest

from harness.host.paths import data_dir
from harness.triggers.table import trigger_named

DIRECTORY = data_dir() / "images/system/dumpconf"
SCRIPT = DIRECTORY / "zharness-dumpconf"
FIELDS = ("device", "wwpn", "lun", "bootprog", "br_lba")


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    (tmp_path / "dump/fcp").mkdir(parents=True)
    (tmp_path / "shutdown_actions").mkdir()
    for name in FIELDS:
        (tmp_path / "dump/fcp" / name).touch()
    (tmp_path / "dump/dump_type").write_text("none\n")
    for event in ("panic", "restart", "halt", "poff"):
        (tmp_path / f"shutdown_actions/on_{event}").write_text("stop\n")
    return tmp_path


def run(sysfs: Path, configuration: str) -> subprocess.CompletedProcess[str]:
    file = sysfs / "dump.conf"
    file.write_text(configuration)
    env = {**os.environ, "ZHARNESS_SYSFS": str(sysfs)}
    return subprocess.run(["sh", SCRIPT, file], env=env, capture_output=True, text=True)


def content(sysfs: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sysfs.rglob("*") if path.is_file()}


def configured(name: str) -> str:
    """The file that the trigger's commands write."""
    (command,) = [each for each in trigger_named(name).setup if "printf" in each]
    shown = command.rpartition(" > ")[0]
    return subprocess.run(["sh", "-c", shown], check=True, capture_output=True, text=True).stdout


def test_everything_that_a_trigger_configures_is_written(sysfs: Path):
    done = run(sysfs, configured("configured-panic-reipl"))
    assert (done.returncode, done.stderr) == (0, "")
    found = content(sysfs)
    assert [found[name] for name in FIELDS] == [
        "0.0.1234\n",
        "0x500507630300c562\n",
        "0x0000000000000000\n",
        "0\n",
        "0\n",
    ]
    assert found["dump_type"] == "fcp\n"
    assert (found["on_panic"], found["on_restart"]) == ("dump_reipl\n", "dump_reipl\n")
    assert (found["on_halt"], found["on_poff"]) == ("stop\n", "stop\n")


def test_what_is_not_configured_stays(sysfs: Path):
    before = content(sysfs)
    assert run(sysfs, "on_halt=reipl\n").returncode == 0
    changed = {name for name, text in content(sysfs).items() if before.get(name) != text}
    assert changed == {"on_halt", "dump.conf"}


def test_a_refusal_names_the_file_and_the_value(sysfs: Path):
    (sysfs / "dump/fcp/lun").unlink()
    (sysfs / "dump/fcp/lun").mkdir()
    done = run(sysfs, "lun=0x12\n")
    assert done.returncode == 1
    assert f"zharness-dumpconf: {sysfs}/dump/fcp/lun does not take '0x12'" in done.stderr


def test_the_service_runs_the_script_at_each_boot():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DIRECTORY / "zharness-dumpconf.service").read_text("ascii"))
    targets = {file.source: file.target for file in trigger_named("configured-panic").files}
    assert unit["Service"]["ExecStart"] == targets["system/dumpconf/zharness-dumpconf"]
    assert unit["Service"]["Type"] == "oneshot"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_the_script_is_one():
    assert SCRIPT.read_bytes().decode("ascii").startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", SCRIPT], check=True)
