"""Compare the kernel's log and names in a dump with the crashed system's console."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.triggers.trigger import PANIC, Trigger
from harness.verify.evidence import Evidence
from harness.verify.semantic.facts import KernelFacts

_SHOWN = 5  # lines that are missing
# a kernel's line; before it on the console there may be a prompt, in it the caller's id
_STAMPED = re.compile(r"\[ *(\d+\.\d{6})\](?:\[ *[TC]\d+\])? ?(.*)")
_BANNER = "Linux version "
_PANIC = re.compile(PANIC)

Line = tuple[float, str]


def check_log(facts: KernelFacts, evidence: Evidence) -> Iterator[str]:
    """It must have each line of the console, and the crash message of the trigger."""
    assert facts.log is not None
    log = [*stamped(facts.log)]
    if not log:
        yield "kernel log: is empty"
        return
    yield from compare(log, [*stamped(evidence.crash_console)], "on the console")
    if evidence.trigger is not None:
        yield from _death("\n".join(text for _, text in log), evidence.trigger)


def check_names(facts: KernelFacts, evidence: Evidence) -> Iterator[str]:
    """The names must be those that the kernel printed on the console."""
    names = facts.names
    assert names is not None
    for name, found, want in (
        ("sysname", names.sysname, "Linux"),
        ("machine", names.machine, "s390x"),
    ):
        if found != want:
            yield f"UTS names: {name} is '{found}', not '{want}'"
    banners = [text for _, text in stamped(evidence.crash_console) if text.startswith(_BANNER)]
    for banner in banners[-1:]:
        if not banner.startswith(f"{_BANNER}{names.release} ("):
            yield f"UTS names: release is '{names.release}', but the console says '{banner}'"
        if not banner.endswith(f") {names.version}".rstrip()):
            yield f"UTS names: version is '{names.version}', but the console says '{banner}'"


def stamped(lines: Iterable[str]) -> Iterator[Line]:
    """The lines that have a time stamp, in seconds, without it."""
    for line in lines:
        found = _STAMPED.search(line)
        if found is not None:
            yield float(found[1]), found[2].rstrip()


def compare(log: list[Line], told: list[Line], name: str) -> Iterator[str]:
    """Findings about lines that are not in the log, or in another order. ``name``: where from."""
    oldest, _ = log[0]  # the log is a ring: there may have been older lines
    shown = [line for line in told if line[0] >= oldest]
    there = set(log)
    missing = [line for line in shown if line not in there]
    for at, text in missing[:_SHOWN]:
        yield f"kernel log: has no line [{at:.6f}] {text}"
    if len(missing) > _SHOWN:
        yield f"kernel log: {len(missing)} of {len(shown)} lines {name} are not in it"
    if not missing and [line for line in log if line in set(shown)] != shown:
        yield f"kernel log: its lines come in another order than {name}"


def _death(log: str, trigger: Trigger) -> Iterator[str]:
    """The trigger's text must be there, with no panic after it, unless the log shows nothing."""
    expected = trigger.log or (trigger.console if PANIC in trigger.console else "")
    if not expected:
        return
    found = re.search(f"(?s:.*)(?:{expected})", log)
    if found is None:
        last = log.splitlines()[-1]
        yield f"kernel log: nothing in it matches '{expected}'; it ends with: {last}"
    elif (later := _PANIC.search(log, found.end())) is not None:
        line = log[later.start() :].partition("\n")[0]
        yield f"kernel log: after '{expected}' there is another: {line}"
