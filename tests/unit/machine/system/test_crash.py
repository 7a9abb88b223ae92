"""What comes before a crash, and what identifies it."""

from __future__ import annotations

from harness.deadline import Deadline
from harness.machine.system.crash import Crash
from harness.triggers.system_kind import SystemKind
from harness.triggers.table import trigger_named
from harness.triggers.workloads import workload_of
from tests.support.runs.running_system import SECONDS, FakeShell


class CountingShell(FakeShell):
    """Its counter grows whenever it is looked at."""

    def run(self, command: str, deadline: Deadline) -> str:
        super().run(command, deadline)
        return f"zharness: counter {len(self.ran)}\n"


def test_files_come_before_the_commands_that_need_them():
    trigger = trigger_named("configured-panic").on(SystemKind.FULL)
    shell = FakeShell()
    assert Crash(trigger, system=SystemKind.FULL).prepare(shell, Deadline(SECONDS)) is None
    targets = [file.target for file in trigger.files]
    assert [remote for _, remote in shell.put_there] == targets
    assert shell.ran[:2] == [f"chmod 755 {targets[0]}", f"chmod 644 {targets[1]}"]
    assert shell.ran[2:] == list(trigger.setup)


def test_a_workload_comes_last():
    trigger = trigger_named("panic-dump")
    shell = CountingShell()
    at_work = Crash(trigger, workload_of("busy")).prepare(shell, Deadline(SECONDS))
    assert shell.ran[: len(trigger.setup)] == list(trigger.setup)
    assert shell.ran[len(trigger.setup)] == workload_of("busy").command
    assert at_work is not None
    assert at_work.after > at_work.before


def test_the_content_of_files_identifies_a_crash():
    sysrq, configured = map(trigger_named, ("sysrq-c", "configured-panic"))
    assert Crash(sysrq).identity().keys() == {"trigger", "workload", "content_seed"}
    files = Crash(configured, system=SystemKind.FULL).identity()["files"]
    assert [text.split("\n")[0] for text in files.values()] == ["#!/bin/sh", "[Unit]"]
