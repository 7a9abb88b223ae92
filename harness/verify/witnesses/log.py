"""Compare the kernel's log in a dump with dmesg and with the journal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.evidence.witnesses import Witnesses
from harness.verify.semantic.log import compare, stamped
from harness.verify.witnesses.facts import SystemFacts
from harness.verify.witnesses.said import Said

# journalctl -o short-monotonic
_JOURNAL = re.compile(r"(\[ *\d+\.\d{6}\]) \S+ kernel: (.*)")
_TAB = " " * 8  # what journalctl prints for a tab (systemd src/shared/logs-show.c)
# dmesg and the journal print bytes that are no text in ways of their own
_PRINTABLE = re.compile(r"[^\\\x00-\x1f\x7f-\uffff]*")


def check_log(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """It must have the lines that dmesg and the journal had, in that order."""
    assert facts.log is not None
    if not [*stamped(facts.log)]:
        yield "kernel log: is empty"
        return
    without_tabs = [line.replace("\t", _TAB) for line in facts.log]
    for name, log, lines in (
        ("in dmesg", facts.log, told.log),
        ("in the journal", without_tabs, _of_kernel(told.journal)),
    ):
        said = filter(_PRINTABLE.fullmatch, lines or ())
        yield from compare([*stamped(log)], [*stamped(said)], name)


def _of_kernel(journal: Sequence[str] | None) -> list[str]:
    found = filter(None, map(_JOURNAL.fullmatch, journal or ()))
    return [f"{line[1]} {line[2]}" for line in found]
