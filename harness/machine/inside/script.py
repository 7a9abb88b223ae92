"""Run a script of ours in a full system."""

from __future__ import annotations

from harness.deadline import Deadline
from harness.host.paths import data_dir
from harness.machine.system.shell import Shell


def run_script(shell: Shell, name: str, deadline: Deadline, arguments: str = "") -> str:
    """Put images/system/``name`` into the system, and run it; returns what it prints.

    Raises what ``Shell.put`` and ``Shell.run`` raise.
    """
    there = f"/root/zharness-{name}"
    shell.put(data_dir() / "images/system" / name, there, deadline)
    return shell.run(f"sh {there} {arguments}".rstrip(), deadline)
