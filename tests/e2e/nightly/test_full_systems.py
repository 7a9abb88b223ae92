"""Full systems are built from packages: whole, with what was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.images.disk import PARTITION_START
from harness.images.store import sha256
from harness.ssh.keys import KeyPair
from tests.support.command_line.zharness import Zharness


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


OWN = """\
description = "a system on a disk of the user's own"
[crashed]
disk = "{directory}/disk.img"
ssh = {{user = "root", key = "{directory}/id_ed25519", host_key = "{host_key}"}}
load = "scsi"
memory = "1G"
smp = 2
"""


def own_system(directory: Path, host_key: Path | str) -> Path:
    """A scenario with the disk of a system that is in the store, given by path."""
    disk = Path(str(build("bookworm")["disk"]))
    file = directory / "own.toml"
    file.write_text(OWN.format(directory=disk.parent, host_key=host_key))
    return file


def test_a_disk_of_the_users_own_is_dumped(tmp_path: Path, zharness: Zharness) -> None:
    directory = Path(str(build("bookworm")["disk"])).parent
    scenario = own_system(tmp_path, directory / "ssh_host_ed25519_key.pub")
    before = sha256(directory / "disk.img")
    done = zharness("run", scenario, "--json", "--output", tmp_path / "evidence")
    assert done.code == 0, done.err
    assert done.json["verdict"] == "PASS"
    assert sha256(directory / "disk.img") == before, "the run works on a copy"


def test_another_host_key_is_an_error_of_one_line(tmp_path: Path, zharness: Zharness) -> None:
    scenario = own_system(tmp_path, KeyPair.make().public)
    done = zharness("run", scenario, "--output", tmp_path / "evidence")
    assert done.code == 3
    (line,) = [line for line in done.err.splitlines() if "host key" in line]
    assert "HostKeyDiffers" not in line
