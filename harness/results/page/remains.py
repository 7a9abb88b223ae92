"""What is left of the evidence of one run; it may have been removed, or be someone else's.

Only files with fixed names are read, below directories that are no links, and never more of them
than a page shows.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from harness.dump.linux import os_info
from harness.errors import EvidenceError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import CONSOLE, MACHINE, RAM
from harness.files.json_file import as_model, read_object
from harness.files.plain_file import is_there, open_plain, read_end, require_own_directory
from harness.report.explain import Explanation, explain
from harness.report.verdict import Verdict
from harness.results.nights import Attempt, Night
from harness.results.page.memory_map import Memory
from harness.verify.crashed_memory import CrashedMemory
from harness.verify.evidence_files import MachineFile, OutcomeFile

CONSOLE_LINES = 200
_CONSOLE_BYTES = 1 << 20  # so many lines of the longest that a console log has


@dataclass(frozen=True)
class Console:
    """The last lines of a console, with times; ``cut`` if there are more before them.

    ``missing`` says why there is none.
    """

    name: str
    lines: tuple[str, ...] = ()
    cut: bool = False
    missing: str | None = None


@dataclass(frozen=True)
class Remains:
    """What can still be read. ``missing`` says why it is not all; None if it is.

    ``memory`` is that of the crashed system.
    """

    missing: str | None
    verdict: Verdict | None = None
    explanation: Explanation | None = None
    consoles: tuple[Console, ...] = ()
    memory: Memory | None = None


def read_remains(night: Night, attempt: Attempt) -> Remains:
    """What is left of a run of that night. Damaged evidence raises nothing; it is told."""
    if attempt.evidence is None:
        return Remains("The run left no evidence.")
    root = Path(attempt.evidence)
    if not is_there(root):
        if night.host != platform.node():
            return Remains(f"The evidence is not on this host; the run was on {night.host}.")
        return Remains("The evidence was removed.")
    paths = RunDirectory(root)
    try:
        for directory in (root, paths.crash, paths.dump):
            require_own_directory(directory)
        verdict = _verdict(paths)
    except EvidenceError as error:
        return Remains(f"The evidence cannot be used: {error.message}")
    if not _is_of(night, attempt, verdict):
        return Remains(f"At {root} there is now the evidence of another run.")
    consoles = (
        _console("Crashed system", paths.crash / CONSOLE),
        _console("Dump system", paths.dump / CONSOLE),
    )
    return Remains(
        "Memory and dump were removed, since the run passed." if is_there(paths.slimmed) else None,
        verdict,
        None if verdict is None else _explained(verdict, paths, consoles[1]),
        consoles,
        _memory(paths),
    )


def _verdict(paths: RunDirectory) -> Verdict | None:
    """None if there is none: the process of the run died."""
    if not is_there(paths.verdict):
        return None
    return Verdict.from_json(read_object(paths.verdict), paths.root)


def _is_of(night: Night, attempt: Attempt, verdict: Verdict | None) -> bool:
    """Whether it can be the evidence of that run, and not one of the same path elsewhere."""
    if verdict is None:
        return night.host == platform.node()
    # a night's evidence is on the host of the night, whichever host did the run
    ours = platform.node() == night.host or (verdict.host or platform.node()) == night.host
    return ours and str(verdict.result) == attempt.result


def _explained(verdict: Verdict, paths: RunDirectory, console: Console) -> Explanation:
    try:
        outcome = read_object(paths.outcome) if is_there(paths.outcome) else {}
    except EvidenceError:
        outcome = {}
    return explain(verdict, (), outcome, console.lines)


def _console(name: str, path: Path) -> Console:
    if not is_there(path):
        return Console(name, missing="There is none.")
    try:
        content, cut = read_end(path, _CONSOLE_BYTES)
    except EvidenceError as error:
        return Console(name, missing=f"It cannot be read: {error.message}")
    lines = content.decode(errors="replace").removesuffix("\n").split("\n")
    if cut:
        del lines[0]  # the end of a line
    return Console(name, tuple(lines[-CONSOLE_LINES:]), cut or len(lines) > CONSOLE_LINES)


def _memory(paths: RunDirectory) -> Memory | None:
    """None if its size is not known."""
    try:
        machine = as_model(MachineFile, read_object(paths.crash / MACHINE), paths.crash / MACHINE)
    except EvidenceError:
        return None
    try:
        outcome = as_model(OutcomeFile, read_object(paths.outcome), paths.outcome)
    except EvidenceError:
        return Memory(machine.memory, None, _image(paths.crash / RAM))
    return Memory(machine.memory, outcome.hsa_size, _image(paths.crash / RAM))


def _image(ram: Path) -> tuple[int, int] | None:
    """Where the crashed kernel's image is, if the kernel says so and its memory is still there."""
    try:
        with open_plain(ram) as file:
            told = os_info.layout(CrashedMemory(file, ()))
    except (EvidenceError, OSError):
        return None
    return None if told is None else (told.image_phys, told.image_phys + told.image_size)
