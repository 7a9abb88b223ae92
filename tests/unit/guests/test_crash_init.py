"""The crashed system's /init, in a separate file tree, with programs that only record calls."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

INIT = Path(__file__).parents[3] / "images/crash/init"
PROGRAMS = ("busybox", "mount", "umount", "stty", "sync", "usleep", "sh")
READY = "zharness: crashed system ready"
BOOTED = "zharness: boot 4 from its own disk"

Boot = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Runs it; ``failing`` is a program that fails when ``given`` is among its arguments."""
    for directory in ("bin", "disk", "dev", "proc/sys/kernel", "sys/class/scsi_host/host0"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "sys/firmware/ipl").mkdir(parents=True)
    (tmp_path / "sys/class/scsi_host/host0/scan").touch()
    (tmp_path / "disk/boots").write_text("3\n")
    (tmp_path / "dev/sda1").touch()

    def run(ipl_type: str, failing: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "sys/firmware/ipl/ipl_type").write_text(f"{ipl_type}\n")
        for program in PROGRAMS:
            fails = f'case "$*" in *{given}*) exit 1; esac\n' if program == failing else ""
            (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{fails}exit 0\n")
            (tmp_path / "bin" / program).chmod(0o755)
        here = re.sub(r'(?<=[\s="(])/(?=(bin|dev|disk|proc|sys)/)', f"{tmp_path}/", script)
        here = here.replace(" /disk\n", f" {tmp_path}/disk\n")
        (tmp_path / "init").write_text(here)
        return subprocess.run(
            ["/bin/sh", tmp_path / "init"],
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    script = INIT.read_text().removeprefix("#!/bin/sh\n")
    return run


def test_it_comes_up(boot, tmp_path):
    done = boot("unknown")
    assert (done.stdout, done.returncode) == (f"{READY}\n", 0), done.stderr
    assert (tmp_path / "disk/boots").read_text() == "3\n"


def test_it_counts_the_boots_from_its_own_disk(boot, tmp_path):
    done = boot("fcp")
    assert (done.stdout, done.returncode) == (f"{BOOTED}\n{READY}\n", 0), done.stderr
    assert (tmp_path / "disk/boots").read_text() == "4\n"


@pytest.mark.parametrize(
    ("failing", "given"),
    [("mount", "ext4"), ("mount", "proc"), ("mount", "devtmpfs"), ("umount", "disk"), ("sync", "")],
)
def test_a_failing_program_prevents_the_ready_message(boot, failing, given):
    done = boot("fcp", failing, given)
    assert READY not in done.stdout
    assert done.returncode != 0


def test_no_disk_appears(boot, tmp_path):
    (tmp_path / "dev/sda1").unlink()
    done = boot("fcp")
    assert done.stdout == "no disk appeared\n"
    assert done.returncode != 0


def test_debugfs_may_be_missing(boot):
    done = boot("unknown", "mount", "debugfs")
    assert done.stdout == f"zharness: no debugfs\n{READY}\n"
