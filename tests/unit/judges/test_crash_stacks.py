"""When crash's walk of a stack is the same as drgn's."""

from __future__ import annotations

import pytest

from harness.judges.crash.output import ActiveTask, Frame
from harness.judges.crash.stacks import ENDS_AT_OVERFLOW, ENDS_AT_RESTART, stack_differences
from harness.verify.findings import AllowedDifference
from harness.verify.semantic.facts import Cpu
from tests.support.dumps.crash import FRAMES, TASKS

OTHER = Frame("do_idle", 0x9000)


def cpu(*frames: Frame) -> Cpu:
    return Cpu(
        number=0,
        prefix=0x8000,
        task=TASKS[0],
        running=TASKS[0].address,
        task_cpu=0,
        stack=tuple(frame.function for frame in frames),
        addresses=tuple(frame.address for frame in frames),
    )


def said(*frames: Frame) -> ActiveTask:
    return ActiveTask(0, TASKS[0].pid, TASKS[0].address, TASKS[0].comm, {}, frames)


ALIKE = {
    "the same": FRAMES,
    "another name at the same address": (*FRAMES[:-1], FRAMES[-1]._replace(function="__text")),
    "an interrupted function twice": (FRAMES[0], *FRAMES),
    "without one that has no frame": (*FRAMES[:1], *FRAMES[2:]),
    "without the last one": FRAMES[:-1],
}


@pytest.mark.parametrize("name", ALIKE)
def test_these_are_alike(name: str):
    found = stack_differences(cpu(*FRAMES), said(*ALIKE[name]))
    assert (found.messages, found.allowed) == ([], [])
    assert found.compared >= len(FRAMES) - 1


DIFFERENT = {
    "nothing": ((), "crash lacks stop_run at 0x1000, panic at 0x2000, "),
    "cut": (FRAMES[:2], "crash lacks sysrq_handle_crash at 0x3000, vfs_write at 0x4000, "),
    "without two": ((*FRAMES[:1], *FRAMES[3:]), "crash lacks panic at 0x2000, sysrq_handle_crash"),
    "one more": (
        (*FRAMES[:2], OTHER, *FRAMES[2:]),
        "crash has do_idle at 0x9000, we sysrq_handle_crash at 0x3000, vfs_write at 0x4000",
    ),
    "one more at the end": ((*FRAMES, OTHER), "crash has do_idle at 0x9000, we its end"),
    "another order": (
        (FRAMES[0], FRAMES[2], FRAMES[1], *FRAMES[3:]),
        "crash has panic at 0x2000, we vfs_write at 0x4000, system_call at 0x5000",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_these_differ(name: str):
    frames, message = DIFFERENT[name]
    (found,) = stack_differences(cpu(*FRAMES), said(*frames)).messages
    assert found.startswith(message)


def test_inlined_functions_and_a_users_program_are_none_of_crashs():
    inlined = Frame("do_panic", FRAMES[1].address)
    ours = (FRAMES[0], inlined, *FRAMES[1:], Frame("0x1", 1), Frame("0x2", 2))
    found = stack_differences(cpu(*ours), said(*FRAMES))
    assert (found.messages, found.allowed) == ([], [])
    assert stack_differences(cpu(), said()).messages == []


@pytest.mark.parametrize(
    ("function", "at", "allowed"),
    [
        ("kernel_stack_overflow", 1, ENDS_AT_OVERFLOW),
        ("restart_int_handler", 2, ENDS_AT_RESTART),
    ],
)
def test_crash_does_not_follow_these_stacks(function: str, at: int, allowed: AllowedDifference):
    ours = [*FRAMES]
    ours[at] = Frame(function, ours[at].address)
    found = stack_differences(cpu(*ours), said(*FRAMES[:2]))
    assert (found.messages, found.allowed) == ([], [allowed])
    # but what it shows of them must be right
    assert stack_differences(cpu(*ours), said(*FRAMES[:1], OTHER)).messages != []
