"""Full systems are built from packages: whole, with what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.images.disk import PARTITION_START


def build(*arguments: str) -> dict[str, object]:
    command = [sys.executable, "-m", "harness", "images", "system", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


def content(disk: object, path: str) -> str:
    command = ["debugfs", "-R", f"cat {path}", f"{disk}?offset={PARTITION_START}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_a_suite_is_configured_whole(suite: str) -> None:
    built = build(suite)
    status = content(built["disk"], "/var/lib/dpkg/status")
    states = {line for line in status.splitlines() if line.startswith("Status: ")}
    assert states == {"Status: install ok installed"}
    checked = subprocess.run(
        ["e2fsck", "-fn", f"{built['disk']}?offset={PARTITION_START}"],
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_what_a_user_adds_is_there(tmp_path: Path) -> None:
    data, script = tmp_path / "data", tmp_path / "script"
    data.write_text("mine\n")
    script.write_text("#!/bin/sh\ntrue\n")
    built = build("--file", f"{data} => /opt/data", "--first-boot", str(script))
    assert content(built["disk"], "/opt/data") == "mine\n"
    wants = "/etc/systemd/system/multi-user.target.wants/zharness-first-boot.service"
    assert "first-boot" in content(built["disk"], wants)
