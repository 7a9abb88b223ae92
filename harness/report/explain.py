"""Explain a run on one page: what happened, what was wrong first, and what follows from that.

A dump that is wrong in one way has many findings: a page that is missing makes the superblock's
checksum, the kernel's objects and the tasks wrong, too. The ranks below say which kind of finding
goes before which others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EvidenceError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import CONSOLE
from harness.files.json_file import read_object
from harness.files.plain_file import is_there, read_plain
from harness.report.verdict import Result, Verdict
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, PageOfDump

_K = FindingKind
_ECHOES = frozenset({_K.NO_DUMP, _K.NOTHING_COMPARED, _K.MORE, _K.UNFINISHED, _K.PAGES_DIFFER})
# what was wrong in memory before the dump; what only the machine sees; the console; the end; then
# from the disk up to what the kernel in the dump says
_RANKS: tuple[frozenset[FindingKind], ...] = (
    frozenset({_K.STATEMENTS_DIFFER}),
    frozenset(
        {
            *(_K.SDIAS_OUTSIDE_HSA, _K.SDIAS_NOT_REPEATED, _K.HSA_RELEASED_EARLY),
            *(_K.MEMORY_BEYOND_HSA, _K.OTHER_DISK_CHANGED, _K.HSA_NOT_RELEASED),
        }
    ),
    frozenset({_K.CONSOLE_ALARM}),
    frozenset({_K.SDIAS_AFTER_RELEASE}),
    frozenset({_K.NOT_FINISHED}),
    frozenset({_K.TOOL_FAILED, _K.NO_RESULT_LINE, _K.HSA_NOT_READ}),
    frozenset(kind for kind in _K if kind.startswith(("superblock-", "file-"))),
    frozenset({_K.TRUNCATED, _K.WRONG_FORMAT, _K.CHECKSUM_WRONG, _K.UNREADABLE, _K.CONTRADICTION}),
    frozenset(kind for kind in _K if kind.startswith(("segment", "memory-", "limit-", "i"))),
    frozenset(kind for kind in _K if kind.startswith(("page", "not-compared"))),
    frozenset(
        kind for kind in _K if kind.startswith(("no-cpu", "cpu-", "register", "prefix-", "psw-"))
    ),
    frozenset(kind for kind in _K if kind.startswith(("lowcore-", "vmcoreinfo-"))),
    frozenset(kind for kind in _K if kind.startswith(("planted-", "hsa-end-"))),
    frozenset(kind for kind in _K if kind.startswith(("kernel-", "symbol-", "log-"))),
)
_RELEASES = frozenset({"finished", "failed", "ended-silently", "ended-otherwise"})
# checks that say whether the run is as the scenario expects, not what is wrong with the dump
_OF_EXPECTATION = frozenset({"verdict", "expectations"})
_FIRST_LINE = re.compile(r"Krnl PSW : \S+ \S+ \(([^)]+)\)")
_CALL = re.compile(r"\[<[0-9a-f]+>\] (\S+\+0x\S+)")
_TIME = re.compile(r"^[+ ] *\d+\.\d+ ?")
_MOST_BYTES, _MOST_LINES = 32 << 20, 100_000
_MOST_CALLS = 12
_MOST_FOLLOWING = 8
_TOLD = ("DIAG 308", "old memory restored", "machine reported", "first SDIAS request")
_TOLD_TOO = ("interference", "dump system ended", "QMP event", "stored crash", "collected")


@dataclass(frozen=True)
class Explanation:
    """What explains a run.

    ``moments`` are (seconds from the start, what happened then); ``on_purpose`` the faults that
    happened. ``first`` is the finding that goes before the ``following`` ones; None if nothing is
    wrong. ``about`` is what is known about it: where the content comes from, which code ran.
    """

    verdict: Verdict
    moments: tuple[tuple[float, str], ...]
    on_purpose: tuple[str, ...]
    first: Finding | None
    following: tuple[Finding, ...]
    about: tuple[str, ...]

    @property
    def cause(self) -> str | None:
        """What was wrong first, in one line; None if nothing was."""
        if self.verdict.error is not None:
            return self.verdict.error
        if self.first is None:
            return None
        if self.on_purpose:
            return f"on purpose: {', '.join(self.on_purpose)}"
        return str(self.first)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.result.value,
            "cause": self.cause,
            "on purpose": list(self.on_purpose),
            "first": None if self.first is None else str(self.first),
            "kind": None if self.first is None else self.first.kind.value,
            "following": [str(finding) for finding in self.following],
            "about": list(self.about),
            "moments": [{"at": at, "what": what} for at, what in self.moments],
        }


def explain(
    verdict: Verdict,
    journal: Sequence[Mapping[str, Any]],
    outcome: Mapping[str, Any],
    console: Sequence[str],
) -> Explanation:
    """Explain a run from its verdict, and from what its evidence has.

    ``journal`` are the lines of journal.jsonl, ``outcome`` is outcome.json of the dump, ``console``
    are the dump system's lines without time.
    """
    ended = outcome.get("outcome") in _RELEASES
    wrong = sorted(_of_the_dump(verdict.checks), key=lambda finding: _rank(finding, ended))
    first = wrong[0] if wrong else None
    played = outcome.get("faults")
    on_purpose = tuple(str(name) for name, times in _items(played) if times)
    return Explanation(
        verdict,
        tuple(_moments(journal)),
        on_purpose,
        first,
        tuple(wrong[1:]),
        tuple(_about(first, console)),
    )


def ended_in_order(directory: Path) -> bool:
    """Whether the dump system of the run in ``directory`` came to an end of its own."""
    path = RunDirectory(directory).outcome
    try:
        return is_there(path) and read_object(path).get("outcome") in _RELEASES
    except EvidenceError:
        return False


def first_finding(verdict: Verdict, *, ended: bool = True) -> Finding | None:
    """The finding about the dump that goes before all others; None if there is none.

    ``ended``: whether the dump system ended in order.
    """
    return min(
        _of_the_dump(verdict.checks), key=lambda finding: _rank(finding, ended), default=None
    )


def read(directory: Path) -> Explanation:
    """Explain the run whose evidence is in ``directory``.

    Raises EvidenceError, naming the file, if there is no verdict, or a file is damaged.
    """
    paths = RunDirectory(directory)
    verdict = Verdict.from_json(read_object(paths.verdict), directory)
    outcome = read_object(paths.outcome) if is_there(paths.outcome) else {}
    console = paths.dump / CONSOLE
    said = read_plain(console, _MOST_BYTES).decode(errors="replace") if is_there(console) else ""
    text = [_TIME.sub("", line) for line in said.splitlines()]
    return explain(verdict, tuple(_journal(paths.journal)), outcome, text)


def _journal(path: Path) -> Iterator[Mapping[str, Any]]:
    """The lines that can be read; the last one of a run that was killed may be cut."""
    if not is_there(path):
        return
    for line in read_plain(path, _MOST_BYTES).splitlines()[:_MOST_LINES]:
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            yield told


def lines(explanation: Explanation, again: str) -> Iterator[str]:
    """The page; ``again`` is the command that shows the same again."""
    verdict = explanation.verdict
    expected = " (a wrong dump was expected)" if verdict.expected_wrong else ""
    yield f"{verdict.result}{expected}"
    yield ""
    yield "What happened"
    yield from (f"  {at:9.3f} s  {what}" for at, what in explanation.moments)
    yield ""
    cause = explanation.cause
    yield "What was wrong first" if cause else "Nothing was wrong."
    if cause is not None:
        yield f"  {cause}"
        if explanation.on_purpose and explanation.first is not None:
            yield f"  seen first as: {explanation.first}"
        yield from (f"  {line}" for line in explanation.about)
    if explanation.following:
        yield ""
        yield f"What follows from that, or stands beside it ({len(explanation.following)})"
        yield from (f"  {finding}" for finding in explanation.following[:_MOST_FOLLOWING])
        if len(explanation.following) > _MOST_FOLLOWING:
            yield f"  and {len(explanation.following) - _MOST_FOLLOWING} more, in verdict.json"
    if verdict.result is Result.ERROR and verdict.hint:
        yield f"  hint: {verdict.hint}"
    yield ""
    yield f"The same again: {again}"


def _of_the_dump(checks: Sequence[CheckResult]) -> Iterator[Finding]:
    for check in checks:
        if check.check not in _OF_EXPECTATION:
            yield from check.findings


def _rank(finding: Finding, ended: bool) -> int:
    """The lower, the earlier in the chain of causes; what only says that there is no dump, last.

    A dump system that ``ended`` in order releases the HSA in any case (Linux zcore.c,
    zcore_reboot_and_on_panic_handler); another one may not have come so far.
    """
    if finding.kind in _ECHOES or (finding.kind is _K.HSA_NOT_RELEASED and not ended):
        return len(_RANKS) + 1
    return next((rank for rank, kinds in enumerate(_RANKS) if finding.kind in kinds), len(_RANKS))


def _moments(journal: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, str]]:
    for line in journal:
        event, at = line.get("event"), line.get("at")
        if not isinstance(event, str) or not isinstance(at, int | float):
            continue
        details = {
            name: value
            for name, value in line.items()
            if name not in ("at", "event", "phase", "seconds")
        }
        if event == "begin":
            yield float(at), f"phase {line.get('phase')}"
        elif event in _TOLD or event in _TOLD_TOO:
            said = ", ".join(f"{name} {value}" for name, value in details.items())
            yield float(at), f"  {event}: {said}" if said else f"  {event}"


def _about(first: Finding | None, console: Sequence[str]) -> Iterator[str]:
    if first is None:
        return
    if isinstance(first.details, PageOfDump):
        yield from _about_page(first.details)
    if first.kind in (_K.CONSOLE_ALARM, _K.NOT_FINISHED):
        yield from _about_oops(console)


def _about_page(page: PageOfDump) -> Iterator[str]:
    yield from page.why
    if page.content_of:
        shifts = sorted({page.address - at for at in page.content_of}, key=abs)
        yield f"the content is that of the page {shifts[0]:+#x} bytes away"
    yield (
        "copied by copy_oldmem_iter (arch/s390/kernel/crash_dump.c): from the HSA by "
        "memcpy_hsa_iter (drivers/s390/char/zcore.c), else by copy_oldmem"
    )


def _about_oops(console: Sequence[str]) -> Iterator[str]:
    """The place and the calls that the dump kernel printed, if it did."""
    text = "\n".join(console)
    if (place := _FIRST_LINE.search(text)) is not None:
        yield f"the dump kernel was at {place[1]}"
    calls = _CALL.findall(text)[:_MOST_CALLS]
    if calls:
        yield f"called by {' < '.join(calls)}"


def _items(value: object) -> Iterator[tuple[str, object]]:
    yield from value.items() if isinstance(value, dict) else ()
