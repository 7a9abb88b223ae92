"""The directory of a batch: its runs, and the results of an earlier batch that was interrupted.

``batch.json`` has the request: ``plans``, and for each run's name its place among them. Each run
has a directory. If it is run again, the old directory is kept as ``NAME~1``, ``NAME~2``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from harness.errors import EvidenceError, HostError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import BATCH, REPORT, SUMMARY
from harness.files.atomic import replace_text
from harness.files.json_file import read_object
from harness.files.json_text import to_text
from harness.report.verdict import Result, Verdict
from harness.run.batch.items import Item

_FINAL = (Result.PASS, Result.FAIL)


@contextmanager
def batch_directory(
    root: Path, items: Sequence[Item], *, resume: bool
) -> Iterator[dict[int, Verdict]]:
    """Take ``root`` for a batch of ``items``; gives the verdicts that are there, by their number.

    Without ``resume`` there are none. Raises UsageError if ``root`` holds something else, or a
    batch with another plan, HostError if it cannot be written or a batch is at work there.
    """
    asked = _asked(items)
    going_on = resume and (root / BATCH).exists()
    if going_on:
        _require_same(read_object(root / BATCH), asked, root / BATCH)
    else:
        RunDirectory.create(root)
    try:
        with _locked(root):
            if not going_on:
                replace_text(root / BATCH, to_text(asked) + "\n")
            kept = dict(_kept(items)) if going_on else {}
            try:
                yield kept
            finally:
                _leave(root)
    except OSError as error:
        if error.filename is None or not Path(error.filename).is_relative_to(root):
            raise
        raise HostError(f"cannot write to {error.filename}: {error.strerror}") from error


def require_same(root: Path, items: Sequence[Item]) -> None:
    """Raises UsageError if the batch in ``root`` has another plan; it need not be there."""
    if (root / BATCH).exists():
        _require_same(read_object(root / BATCH), _asked(items), root / BATCH)


def _asked(items: Sequence[Item]) -> dict[str, Any]:
    """The plans of the runs, each plan once: with --repeat many runs have the same plan."""
    plans: dict[str, int] = {}
    runs = {}
    for item in items:
        job = item.job
        options = asdict(job.options)
        text = json.dumps({"plan": job.plan.to_json(), "options": options}, default=str)
        runs[item.name] = plans.setdefault(text, len(plans))
    return {"plans": [json.loads(text) for text in plans], "runs": runs}


def _require_same(former: dict[str, Any], asked: dict[str, Any], file: Path) -> None:
    hint = "give the same scenarios and options, or another --output"
    try:
        before = {name: former["plans"][number] for name, number in former["runs"].items()}
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{file}: not the plan of a batch") from error
    now = {name: asked["plans"][number] for name, number in asked["runs"].items()}
    for name in sorted(before.keys() ^ now.keys()):
        which = "has no run" if name in now else "also has the run"
        raise UsageError(f"{file} is of another batch: it {which} '{name}'", hint=hint)
    for name, plan in now.items():
        if plan != before[name]:
            where, was, is_now = next(_differences(before[name], plan))
            raise UsageError(
                f"{file} is of another batch: {where} of '{name}' was {was!r}, now {is_now!r}",
                hint=hint,
            )


def _differences(before: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            inner = f"{where}.{key}" if where else str(key)
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now:
        yield where, before, now


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for its end"
            raise HostError(f"another batch is at work in {root}", hint=hint) from None
        yield
    finally:
        os.close(fd)


def _kept(items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
    """Runs that have ended; the directories of the others are renamed."""
    for number, item in enumerate(items):
        directory = RunDirectory(item.job.output)
        with suppress(EvidenceError):
            verdict = Verdict.from_json(read_object(directory.verdict), directory.root)
            if verdict.result in _FINAL:
                yield number, verdict
                continue
        if directory.root.exists():
            directory.root.rename(former(directory.root))


def former(root: Path) -> Path:
    """Where an earlier try of the run in ``root`` is kept."""
    names = (root.with_name(f"{root.name}~{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def _leave(root: Path) -> None:
    """Remove the directory of a batch that ran nothing."""
    with suppress(OSError):
        if {path.name for path in root.iterdir()} <= {BATCH, REPORT, SUMMARY}:
            shutil.rmtree(root)
