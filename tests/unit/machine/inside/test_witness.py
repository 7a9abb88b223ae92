"""Ask a system that is a shell on this host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.machine.inside.witness import gather

SECONDS = 120


class HostShell:
    """Commands run here; what a guest has in /root is below ``top``. Nothing can be mounted."""

    def __init__(self, top: Path, damaged: int = 0) -> None:
        self.top, self.damaged, self.ran = top, damaged, 0
        (top / "root").mkdir()

    def run(self, command: str, deadline: Deadline) -> str:
        command = command.replace("/root/", f"{self.top}/root/")
        assert len(command) < 1024 + len(str(self.top))
        if command.startswith("sh "):
            command += f" {self.top}"
            self.ran += 1
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdout=subprocess.PIPE,
            text=True,
            timeout=deadline.remaining,
            check=True,
            env={"PATH": f"{self.top}/bin:/usr/bin:/bin"},
        )
        return done.stdout[:100] if self.ran <= self.damaged else done.stdout

    def send(self, command: str) -> None:
        raise AssertionError(command)


@pytest.fixture
def bin_directory(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mount").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/mount").chmod(0o755)


@pytest.mark.usefixtures("bin_directory")
def test_the_report_comes_back(tmp_path):
    told = gather(HostShell(tmp_path), Deadline(SECONDS), files=3)
    assert len([file for file in told.files or () if file.offset is not None]) == 3
    assert told.tasks


@pytest.mark.usefixtures("bin_directory")
def test_a_damaged_report_is_asked_for_again(tmp_path):
    shell = HostShell(tmp_path, damaged=1)
    assert gather(shell, Deadline(SECONDS), files=1).tasks
    assert shell.ran == 2


@pytest.mark.usefixtures("bin_directory")
def test_a_report_that_is_always_damaged_is_an_error_with_a_way_out(tmp_path):
    with pytest.raises(ProtocolError, match="damaged 3 times") as raised:
        gather(HostShell(tmp_path, damaged=9), Deadline(SECONDS), files=1)
    assert "crashed.witnesses = false" in str(raised.value.hint)
