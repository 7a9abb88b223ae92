"""The scripts that a full system runs, run on this host with programs of the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.evidence.condition import Condition
from harness.evidence.own_dump import OwnDump
from harness.host.paths import data_dir

SCRIPTS = data_dir() / "images/system"
BOOT = "0123456789abcdef" * 2


@pytest.fixture
def programs(tmp_path):
    """Make a program of this name, which prints ``text``."""
    (tmp_path / "bin").mkdir()

    def make(name: str, text: str, status: int = 0) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\ncat <<'TEXT'\n{text}\nTEXT\nexit {status}\n")
        path.chmod(0o755)

    return make


def run(tmp_path: Path, name: str, *arguments: object) -> str:
    done = subprocess.run(
        ["/bin/sh", SCRIPTS / name, *map(str, arguments)],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_condition_of_this_host_under_systemd(tmp_path, programs):
    programs("systemctl", "running")
    programs("journalctl", f" -1 {'f' * 32} Sun 10:00—Sun 11:00\n  0 {BOOT} Sun 11:01—Sun 12:00")
    programs("dmesg", "[    1.5] EXT4-fs (sda1): recovery complete\n[    2.0] other")
    told = Condition.parse(run(tmp_path, "condition", tmp_path))
    now = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    assert told.boot == now
    assert told.journal == ("f" * 32, BOOT)
    assert told.state == "running"
    assert told.kernel == ("EXT4-fs (sda1): recovery complete",)
    assert told.root
    assert told.count == 1


def test_the_heading_of_a_list_of_boots_is_no_boot(tmp_path, programs):
    programs("journalctl", f"IDX BOOT ID FIRST ENTRY\n  0 {BOOT} Sun 11:01")
    assert Condition.parse(run(tmp_path, "condition", tmp_path)).journal == (BOOT,)


def test_a_system_that_is_degraded(tmp_path, programs):
    programs("systemctl", "degraded", status=1)
    assert Condition.parse(run(tmp_path, "condition", tmp_path)).state == "degraded"


def test_the_count_grows(tmp_path):
    counts = [Condition.parse(run(tmp_path, "condition", tmp_path)).count for _ in range(3)]
    assert counts == [1, 2, 3]


def test_a_system_without_the_disk_for_the_copy_says_so(tmp_path):
    own = OwnDump.parse(run(tmp_path, "own-dump", 99))
    assert (own.size, own.error) == (None, "there is no disk with LUN 99")
