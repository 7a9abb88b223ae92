"""The dump system's console: it shows no alarm, and in the end that the dump is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness.dump_tools.tool import Said
from harness.evidence.names import CONSOLE, DUMP_DIRECTORY
from harness.scenario.sizes import format_size
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, Line
from harness.verify.patterns import time_to_match

CHECK, UNIT = "console", "lines"

MAX_FINDINGS = 16


class Pattern(NamedTuple):
    """A console line that no healthy dump system prints, and its meaning."""

    what: str
    regex: re.Pattern[str]


# Linux 6.12: kernel/panic.c, lib/bug.c, mm/oom_kill.c, kernel/watchdog.c, kernel/hung_task.c,
# kernel/rcu/tree_stall.h, arch/s390/kernel/dumpstack.c, arch/s390/mm/fault.c
ALARMS = (
    Pattern("kernel panic", re.compile(r"Kernel panic - not syncing")),
    Pattern("kernel bug", re.compile(r"kernel BUG at |\bBUG: ", re.IGNORECASE)),
    Pattern("kernel warning", re.compile(r"\bWARNING: ")),
    Pattern("kernel oops", re.compile(r"Unable to handle kernel|\bilc:\d+ \[#\d+\]|\bOops\b")),
    Pattern("kernel stack overflow", re.compile(r"[Kk]ernel stack overflow")),
    Pattern("out of memory", re.compile(r"invoked oom-killer|[Oo]ut of memory: Killed")),
    Pattern("page allocation failure", re.compile(r"page allocation failure")),
    Pattern("stall", re.compile(r"soft lockup|detected stalls?|self-detected stall")),
    Pattern("hung task", re.compile(r"blocked for more than \d+ seconds")),
    Pattern("I/O error", re.compile(r"I/O error|EXT[234]-fs (?:error|\(.*\): error)")),
    Pattern("crash of a program", re.compile(r"User process fault|Attempted to kill init")),
    Pattern("error in the dump tool", re.compile(r"^Traceback \(most recent call last\)")),
)

# What a dump system prints that has too little memory. Linux 6.12: mm/oom_kill.c ("System is
# deadlocked on memory"; before 4.19 "Out of memory and no killable processes"), mm/page_alloc.c,
# arch/s390/boot/physmem_info.c, init/initramfs.c, mm/vmscan.c (so early in the boot a thread cannot
# be created only for lack of memory, which also limits the number of threads)
OUT_OF_MEMORY = tuple(
    re.compile(pattern)
    for pattern in (
        r"invoked oom-killer|[Oo]ut of memory\b",
        r"System is deadlocked on memory",
        r"page allocation failure",
        r"Initramfs unpacking failed: write error",
        r"Krnl PSW : .*\(kswapd_run\+",
    )
)


def check(evidence: Evidence) -> CheckResult:
    """Search each line for alarms, and for the result line of the dump tool, if it prints one."""
    findings = [
        Finding(
            CHECK,
            FindingKind.CONSOLE_ALARM,
            f"{alarm.what}, line {number}: {line.strip()}",
            Line(number),
        )
        for number, line in enumerate(evidence.console, 1)
        if (alarm := alarming(line)) is not None
    ]
    findings += _result(evidence)
    return CheckResult(CHECK, len(evidence.console), UNIT, tuple(_limited(findings)))


def _result(evidence: Evidence) -> Iterator[Finding]:
    tool, last = evidence.tool, ""
    with time_to_match(f"the dump tool {tool.name}"):
        results = [(line, said) for line in evidence.console if (said := tool.result(line))]
    if results:
        last, said = results[-1]
        if said is Said.FAILED:
            message = f"the dump tool reports: {last}"
            yield Finding(CHECK, FindingKind.TOOL_FAILED, message)
    elif tool.reports:
        message = f"no result line of the dump tool {tool.name} on the console"
        yield Finding(CHECK, FindingKind.NO_RESULT_LINE, message)


def hint(evidence: Evidence) -> str | None:
    """What helps the dump system, if its console tells."""
    size = evidence.outcome.get("hsa_size")
    starved = any(pattern.search(line) for line in evidence.console for pattern in OUT_OF_MEMORY)
    if not starved or not isinstance(size, int):
        return None
    return (
        f"the dump system ran out of memory in an HSA of {format_size(size)}; "
        "give it more with --hsa-size"
    )


def alarming(line: str) -> Pattern | None:
    """The first alarm that the line matches."""
    return next((alarm for alarm in ALARMS if alarm.regex.search(line)), None)


def _limited(findings: list[Finding]) -> list[Finding]:
    """The first findings and the last one: a crashing kernel repeats itself."""
    if len(findings) <= MAX_FINDINGS:
        return findings
    left_out = len(findings) - MAX_FINDINGS
    message = f"{left_out} more alarming lines in {DUMP_DIRECTORY}/{CONSOLE}"
    note = Finding(CHECK, FindingKind.MORE, message)
    return [*findings[: MAX_FINDINGS - 1], note, findings[-1]]
