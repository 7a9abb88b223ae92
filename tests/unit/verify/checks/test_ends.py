"""Console and outcome: how the dump system ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.verify.checks import console, outcome
from harness.verify.evidence import Evidence
from harness.verify.kinds import FindingKind
from tests.support.checked import checked, said
from tests.support.evidence import (
    CONSOLE,
    SyntheticRun,
)

# console


HARMLESS = (
    *CONSOLE,
    "Kernel command line: root=/dev/ram0 panic=0 console=ttysclp0",
    "NET: Registered PF_NETLINK/PF_ROUTE protocol family",
    "EXT4-fs (sda1): mounted filesystem 12-34 r/w with ordered data mode.",
    "zfcpdump: 512 MB, 100 %, 95 MB/s, ETA 0 s",
    "rcu: Hierarchical RCU implementation.",
    "audit: initializing netlink subsys (disabled)",
)
ALARMING = {
    "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100": "kernel panic",
    "kernel BUG at mm/slub.c:448!": "kernel bug",
    "BUG: Bad page state in process swapper": "kernel bug",
    "WARNING: CPU: 0 PID: 1 at fs/proc/vmcore.c:123 read_vmcore+0x1": "kernel warning",
    "Unable to handle kernel pointer dereference in virtual kernel address space": "kernel oops",
    "specification exception: 0006 ilc:2 [#1] SMP": "kernel oops",
    "Kernel stack overflow.": "kernel stack overflow",
    "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0": "out of memory",
    "Out of memory: Killed process 31 (init) total-vm:1kB": "out of memory",
    "init: page allocation failure: order:4": "page allocation failure",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [init:1]": "kernel bug",
    "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:": "stall",
    "INFO: task init:1 blocked for more than 120 seconds.": "hung task",
    "I/O error, dev sda, sector 2048 op 0x1:(WRITE)": "I/O error",
    "EXT4-fs error (device sda1): ext4_find_entry:1463: inode #2": "I/O error",
    "User process fault: interruption code 0010 ilc:3 in python3": "crash of a program",
    "Traceback (most recent call last):": "error in the dump tool",
}


def test_sound_console(tmp_path: Path):
    result = checked(console.check, SyntheticRun(console=HARMLESS).write(tmp_path))
    assert result.passed, said(result)
    assert result.compared == len(HARMLESS)


@pytest.mark.parametrize("line", ALARMING)
def test_alarming_console(tmp_path: Path, line: str):
    result = checked(console.check, SyntheticRun(console=(line, *CONSOLE)).write(tmp_path))
    assert [finding.message for finding in result.findings] == [f"{ALARMING[line]}, line 1: {line}"]


STARVED = {
    "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0": 0,
    "Out of memory: Killed process 31 (init) total-vm:1kB": 0,
    "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled": 0,
    "Out of memory allocating 4000 bytes 4000 aligned in range 0:1000000": 0,
    "Kernel panic - not syncing: System is deadlocked on memory": 1,
    "init: page allocation failure: order:4": 2,
    "Initramfs unpacking failed: write error": 3,
    "Krnl PSW : 0704d00180000000 000003ffe05353b8 (kswapd_run+0x80/0xa8)": 4,
}


@pytest.mark.parametrize("line", STARVED)
def test_a_console_without_memory_has_a_hint(tmp_path: Path, line: str):
    run = SyntheticRun(console=(line, *CONSOLE), outcome={"hsa_size": 16 << 20})
    with Evidence.open(run.write(tmp_path)) as evidence:
        assert console.hint(evidence) == (
            "the dump system ran out of memory in an HSA of 16M; give it more with --hsa-size"
        )
    assert console.OUT_OF_MEMORY[STARVED[line]].search(line)


def test_every_pattern_of_a_hint_has_an_example():
    assert set(STARVED.values()) == set(range(len(console.OUT_OF_MEMORY)))


@pytest.mark.parametrize(
    "line",
    [
        *HARMLESS,
        *(line for line in ALARMING if line not in STARVED),
        "zfcpdump: 12.5 MB memory available",
        "Initramfs unpacking failed: no cpio magic",
    ],
)
def test_other_lines_have_no_hint(tmp_path: Path, line: str):
    run = SyntheticRun(console=(line, *CONSOLE))
    with Evidence.open(run.write(tmp_path)) as evidence:
        assert console.hint(evidence) is None


def test_every_alarm_has_an_example():
    assert {alarm.what for alarm in console.ALARMS} == set(ALARMING.values())


@pytest.mark.parametrize(
    "line", ["zfcpdump result: failed: Disk too small", "zfcpdump result: okay"]
)
def test_failed_result_is_red(tmp_path: Path, line: str):
    result = checked(console.check, SyntheticRun(console=(line,)).write(tmp_path))
    assert said(result) == f"the dump tool reports: {line}"


def test_last_result_line_counts(tmp_path: Path):
    lines = ("zfcpdump result: failed: first try", "zfcpdump result: ok")
    assert checked(console.check, SyntheticRun(console=lines).write(tmp_path)).passed


def test_missing_result_line_is_red(tmp_path: Path):
    result = checked(console.check, SyntheticRun(console=CONSOLE[:-1]).write(tmp_path))
    assert said(result) == "no result line of the dump tool zfcpdump on the console"


def test_endless_alarms_are_cut(tmp_path: Path):
    run = SyntheticRun(console=("kernel BUG at x",) * 100)
    result = checked(console.check, run.write(tmp_path))
    assert len(result.findings) == console.MAX_FINDINGS + 1
    assert "more alarming lines" in said(result)
    assert result.findings[-1].message.startswith("no result line")


# outcome


EARLY = "zfcpdump result: failed: cannot read memory at"
WRONG_OUTCOMES: dict[str, tuple[dict[str, object], str]] = {
    "failed": (
        {"outcome": "failed", "result_line": "zfcpdump result: failed: Disk too small"},
        "did not finish: failed; zfcpdump result: failed: Disk too small",
    ),
    "panicked": ({"outcome": "panicked", "result_line": None}, "panicked; no result line"),
    "HSA kept": ({"hsa_released": False}, "the HSA was not released"),
    "HSA never read": ({"sdias_requests": 0}, "never read the HSA"),
    "released too early": ({"refused_after_release": 3}, "3 SDIAS requests came after"),
    "asked for other blocks": (
        {"sdias_outside": 2, "sdias_outside_block": 1},
        "2 SDIAS requests were for blocks that the HSA does not have, the first for block 1: it "
        "has the blocks 2-257",
    ),
    "wrote to others": (
        {"other_disks": [1, 2], "other_disks_changed": [2]},
        "the dump system has written to other disks than its own: LUN 2",
    ),
    "not repeated": (
        {"sdias_not_accepted": 3, "sdias_given_up": 1},
        "1 SDIAS requests that the machine was too busy to accept were not repeated",
    ),
    "released by the tool before it was read": (
        {"result_line": f"{EARLY} 0xff000 after the HSA was released: [Errno 14] Bad address"},
        "the dump tool released the HSA before it had read all that it needs of it: memory at "
        "0xff000 was there",
    ),
}


@pytest.mark.parametrize("name", WRONG_OUTCOMES)
def test_wrong_outcome(tmp_path: Path, name: str):
    changes, message = WRONG_OUTCOMES[name]
    result = checked(outcome.check, SyntheticRun(outcome=changes).write(tmp_path))
    assert not result.passed
    assert message in said(result)
    assert len(result.findings) == 1


NOT_EARLY: dict[str, dict[str, object]] = {
    "above the HSA": {"result_line": f"{EARLY} 0x100000 after the HSA was released: why"},
    "before the release": {"result_line": f"{EARLY} 0xff000: [Errno 14] Bad address"},
    "no result": {"result_line": None},
}


@pytest.mark.parametrize("name", NOT_EARLY)
def test_not_every_tool_that_cannot_read_has_released_the_hsa_early(tmp_path: Path, name: str):
    assert checked(outcome.check, SyntheticRun(outcome=NOT_EARLY[name]).write(tmp_path)).passed


def test_a_release_by_the_kernel_is_not_the_tools(tmp_path: Path):
    said = f"{EARLY} 0x0 after the HSA was released: [Errno 14] Bad address"
    changes: dict[str, object] = {"result_line": said, "refused_after_release": 4}
    (finding,) = checked(outcome.check, SyntheticRun(outcome=changes).write(tmp_path)).findings
    assert finding.kind is FindingKind.SDIAS_AFTER_RELEASE


@pytest.mark.parametrize(("megabytes", "right"), [("1.0", True), ("1.1", False), ("237.7", False)])
def test_a_dump_system_has_no_more_memory_than_the_hsa(tmp_path, megabytes: str, right: bool):
    console = (f"zfcpdump: {megabytes} MB memory available", *CONSOLE)
    result = checked(outcome.check, SyntheticRun(console=console).write(tmp_path))
    assert result.passed is right
    kinds = [finding.kind for finding in result.findings]
    assert kinds == ([] if right else [FindingKind.MEMORY_BEYOND_HSA])


def test_what_went_wrong_on_purpose_is_noted_and_is_no_fault(tmp_path: Path):
    changes: dict[str, object] = {"faults": {"sdias-not-accepted:request=4": 3}}
    result = checked(outcome.check, SyntheticRun(outcome=changes).write(tmp_path))
    assert result.passed
    assert result.notes == ("on purpose: sdias-not-accepted:request=4, 3 times",)


def test_reached_limits_are_noted_and_are_no_fault(tmp_path: Path):
    said = ["the console log was cut at 8 MiB"]
    result = checked(outcome.check, SyntheticRun(outcome={"limits": said}).write(tmp_path))
    assert result.passed
    assert result.notes == tuple(said)


def test_without_limits_there_is_no_note(tmp_path: Path):
    result = checked(outcome.check, SyntheticRun(outcome={"limits": 5}).write(tmp_path))
    assert (result.passed, result.notes) == (True, ())
