"""What crash prints becomes values; text of a dump in it makes no other ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.judges.crash import output
from harness.judges.crash.output import ActiveTask, Frame, Process
from tests.support.dumps.crash import MEMORY, PROCESSES, STACKS, SYSTEM, TASK, VERSION


def test_facts_of_the_system():
    facts = output.facts(SYSTEM)
    assert facts["CPUS"] == "2"
    assert facts["RELEASE"] == "6.12.117"
    assert facts["LOAD AVERAGE"] == "0.00, 0.00, 0.00"
    assert facts["PANIC"] == '"Kernel panic - not syncing: sysrq triggered crash"'
    assert output.facts(TASK)["STATE"] == "TASK_RUNNING (PANIC)"
    assert output.version(VERSION) == (9, 0, 2)
    assert output.version("sh: crash: not found") is None


def test_active_tasks_with_registers_and_frames():
    first, second = output.active_tasks(STACKS)
    assert (first.cpu, first.pid, first.task, first.comm) == (0, 0, 0x3FFFFF06F00, "swapper/0")
    assert first.registers["psw"] == (0x0404C00180000000, 0x3FFFF93B196)
    assert first.registers["prefix"] == (0x1FEEC000,)
    assert first.registers["clock cmp"] == (0xE3A6B30DAB0F9900,)
    assert len(first.registers["general"]) == 16
    assert first.registers["general"][15] == 0x1FDD3D20
    assert first.registers["access"] == (0, 0x15133C0, *[0] * 14)
    assert [frame.function for frame in first.frames] == [
        "smp_handle_ext_call",
        "do_ext_interrupt",
        "do_irq_async",
        "ext_int_handler",
        "arch_cpu_idle+160",
        "arch_cpu_idle",
    ]
    assert first.frames[4].address == first.frames[5].address == 0x3FFFFD2AB70
    assert second == ActiveTask(
        1,
        1,
        0xCC0000,
        "sh",
        {"psw": (0x0002000180000000, 0x3FFFF935128), "prefix": (0xC9A000,)},
        (
            Frame("stop_run", 0x3FFFF935128),
            Frame("panic", 0x3FFFF94BE68),
            Frame("crash", 0x3FF7FA7A8E4),
            Frame("system_call", 0x3FFFFD31858),
        ),
    )


def test_processes_and_memory():
    assert output.processes(PROCESSES) == {
        0x3FFFFF06F00: Process(0, "[swapper/0]"),
        0xCC0000: Process(1, "sh"),
        0xCC2200: Process(3, "[pool_workqueue_]"),
    }
    words = output.words(MEMORY)
    assert words[0x1008] == bytes.fromhex("000003ffffe77c60")
    assert sorted(words) == [0x1000, 0x1008, 0x1010]


HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    '"',
    "] [",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\N{REPLACEMENT CHARACTER}",
    "#0 [1] panic at 1",
    "[bold]",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_name(name: str):
    stacks = STACKS.replace('"sh"', f'"{name}"')
    first, second = output.active_tasks(STACKS)
    assert output.active_tasks(stacks) == (first, replace(second, comm=name))
    listed = output.processes(PROCESSES.replace("sh\n", f"{name}\n"))
    assert listed[0xCC0000] == Process(1, name)
    panic = output.facts(SYSTEM.replace("sysrq", name))["PANIC"]
    assert panic == f'"Kernel panic - not syncing: {name} triggered crash"'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 100,
        'bt: invalid kernel virtual address: 0  type: "lowcore"\n',
        'PID: 1 TASK: zz CPU: 0 COMMAND: "x"\n',
        'PID: \N{SUPERSCRIPT TWO} TASK: 1 CPU: 0 COMMAND: "x"\n',
        "  -general registers:\n     0x1 0x2\n",
        "x" * 1_000_000,
    ],
)
def test_what_does_not_fit_is_no_claim(text: str):
    assert output.active_tasks(text) == ()
    assert output.processes(text) == {}
    assert output.words(text) == {}


@pytest.mark.parametrize(
    ("line", "registers"),
    [
        ("     x 0x", {}),
        ("     0x1 0x2 0x", {}),
        ("     " + "f" * 40, {}),
        ("     0x1 2", {"general": (1, 2)}),
    ],
)
def test_registers_that_are_no_numbers_are_not_there(line: str, registers: dict[str, object]):
    head = 'PID: 1  TASK: c80000  CPU: 0  COMMAND: "sh"'
    (task,) = output.active_tasks(f"{head}\n  -general registers:\n{line}\n")
    assert task.registers == registers


def test_a_second_part_of_a_cpu_does_not_hide_the_first():
    assert [task.cpu for task in output.active_tasks(STACKS + STACKS)] == [0, 1, 0, 1]
