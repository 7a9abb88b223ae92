"""A child process that ends with its parent."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.host.child import dying_with_us

SECONDS = 20
# starts a child that would live long, tells its number, and is killed before it can do anything
PARENT = """
import os, signal, subprocess
from harness.host.child import dying_with_us
child = subprocess.Popen(
    dying_with_us(["sh", "-c", "echo ready; exec sleep 60"]),
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_parent_that_is_killed_takes_its_child_along():
    parent = subprocess.run(
        [sys.executable, "-c", PARENT],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    number = int(parent.stdout)
    try:
        child = os.pidfd_open(number)
    except ProcessLookupError:
        return  # dead and reaped already
    try:
        ended, _, _ = select.select([child], [], [], SECONDS)
        assert ended
    finally:
        os.close(child)


def test_the_command_is_the_last_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert dying_with_us(["a", "-b"])[-3:] == ["--", "a", "-b"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="setpriv is not installed"):
        dying_with_us(["a"])
