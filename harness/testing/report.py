"""The text of a test's report: verdicts, errors, and commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.evidence.names import VERDICT
from harness.printable import printable, printable_lines

if TYPE_CHECKING:
    from harness.report.verdict import Verdict
    from harness.scenario.model import Dump

MAX_FINDINGS = 10
REMOVED = "evidence removed, because the test did not fail; --zharness-keep keeps it"


def verdict(found: Verdict, again: str) -> str:
    """A verdict, its findings, and what to do next; ``again`` is the command that repeats it.

    The first line is the summary.
    """
    where = f" in phase {found.phase}" if found.phase else ""
    findings = [*map(str, found.findings)]
    if found.expected_wrong and not found.phase:
        where, findings = " (a wrong dump was expected)", []
    lines = [": ".join([f"{found.result}{where}", *findings[:1]])]
    lines += [f"also: {finding}" for finding in findings[1:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        lines.append(f"and {len(findings) - MAX_FINDINGS} more, in {VERDICT}")
    lines.append(f"evidence: {found.directory}")
    if found.checks:
        lines.append(f"verify again: {command('verify', found.directory)}")
    return "\n".join(map(printable, [*lines, f"run again: {again}"]))


def trouble(error: HarnessError, place: str | None, evidence: Path | None) -> str:
    """An error of ours: what happened and at which ``place`` of the test, and what to do next."""
    lines = [error.message if place is None else f"{place}: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if evidence is not None:
        lines.append(f"evidence: {evidence}")
    return printable_lines("\n".join(lines))


def trouble_of(found: Verdict) -> HarnessError:
    """The error of an ERROR verdict."""
    message = str(found.error)
    if found.phase and not message.startswith("phase "):
        message = f"phase {found.phase}: {message}"
    return HarnessError(message, hint=found.hint)


def dump_again(crash: Path, dump: Dump, store: Path | None) -> str:
    """The command that dumps ``crash``, a snapshot's directory, in the same way."""
    from harness.run.plan import rooted_source
    from harness.scenario.model import OPTIONS

    options: list[object] = []
    given = dump.model_dump(exclude_defaults=True)
    for option in OPTIONS:
        if option.section == "dump" and option.field in given:
            show = str if option.written is None else option.written.show
            words = list(option.words(given[option.field], show))
            options += [rooted_source(word) if option.names_path(word) else word for word in words]
    return command("dump", f"{crash}{os.sep}", *options, store=store)


def command(*words: object, store: Path | None = None) -> str:
    """A command line of zharness, quoted for a shell, with ``store`` if it is given."""
    options: Sequence[object] = () if store is None else ("--store", store)
    return shlex.join(["zharness", *map(str, [*words, *options])])
