"""What a host does for a cluster: these functions run in its worker, as tasks of dask."""

from __future__ import annotations

import hashlib
import os
import selectors
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import zstandard
from distributed import Worker, get_worker

from harness.cluster.member import Member
from harness.cluster.order import PLUGIN, Ended, HostState, Order, Piece, Remote
from harness.deadline import Deadline
from harness.errors import HarnessError, HostError, UsageError
from harness.evidence.slim import slim
from harness.files import sparse
from harness.report.verdict import Result
from harness.run.batch.job import RunJob
from harness.run.batch.local_run import LocalRun
from harness.run.batch.loop import GRACE_SECONDS, TICK_SECONDS
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.worker_process import worker_command
from harness.run.phases import most_seconds

EVIDENCE = "evidence"
LARGE = 1 << 20  # bytes: only such a file has a digest, with which it may be there already
PIECE = 8 << 20  # bytes of data in a piece
_LEVEL = 3  # of zstd


def look() -> HostState:
    """The state of the host."""
    worker = get_worker()
    _sweep(worker)
    return _member(worker).state()


def carry(order: Order) -> Ended:
    """Do a run in a process of its own, and tell its progress.

    If nobody wants it any more, it is interrupted.
    """
    worker = get_worker()
    _sweep(worker)
    member, job, wanted = _member(worker), RunJob.from_json(order.job), _wanted(worker)
    memory = job.plan.scenario.crashed.memory
    try:
        member.require_fit(memory)
        require_files(member.host, order.files)
        place = member.place(order.key)
        here = replace(job, output=place / EVIDENCE, store=member.store)
        limit = most_seconds(memory, job.plan.time_factor)
        with member.room_for(memory, wanted), LocalRun(here, worker_command(), limit) as run:
            member.running[order.key] = run
            try:
                _attend(run, _teller(worker, order), wanted)
            finally:
                del member.running[order.key]
            came = run.conclude()
        if isinstance(came, UsageError):
            raise came
        if came.result is not Result.PASS:  # whose fault is it?
            member.require_fit(memory)
        if not wanted():
            discard(order.key)
            return Ended()
        if order.slim and came.result is Result.PASS:
            slim(here.output)
        files = tuple(files_of(here.output))
    except UsageError as error:
        discard(order.key)
        return Ended(refused=(error.message, error.hint))
    except (HostError, OSError) as error:
        discard(order.key)
        told = error if isinstance(error, HarnessError) else HostError(str(error))
        return Ended(unfit=(told.message, told.hint))
    member.kept[order.key] = worker.get_current_task()
    return Ended(came.to_json(), order.key, files)


def piece(place: str, name: str, offset: int) -> Piece:
    """The next part of a file of the evidence, from ``offset`` on; holes are left out."""
    return read_piece(_member(get_worker()).directory / place / EVIDENCE / name, offset)


def read_piece(path: Path, offset: int) -> Piece:
    """The same for any file."""
    packer = zstandard.ZstdCompressor(level=_LEVEL)
    extents, left = [], PIECE
    with path.open("rb") as file:
        for start, size in sparse.data_extents(file.fileno(), offset):
            taken = min(size, left)
            extents.append((start, packer.compress(os.pread(file.fileno(), taken, start))))
            left -= taken
            if not left:
                return Piece(tuple(extents), start + taken)
    return Piece(tuple(extents), None)


def discard(place: str) -> None:
    """Remove what is left of a run here."""
    member = _member(get_worker())
    member.kept.pop(place, None)
    shutil.rmtree(member.directory / place, ignore_errors=True)


def _sweep(worker: Worker) -> None:
    """Remove the evidence that nobody has fetched, and whose result nobody has any more."""
    for place, task in list(_member(worker).kept.items()):
        if task not in worker.state.tasks:
            discard(place)


def interrupt(key: str, number: int | None) -> None:
    """Send a signal to a run, or kill it if ``number`` is None."""
    run = _member(get_worker()).running.get(key)
    if run is not None:
        run.kill() if number is None else run.interrupt(number)


def _member(worker: Worker) -> Member:
    member = worker.plugins[PLUGIN]
    assert isinstance(member, Member)
    return member


def require_files(host: str, files: Mapping[str, str | None]) -> None:
    """Raises UsageError if a file of the user's is not here, or is another one."""
    for name, digest in files.items():
        path = Path(name)
        if digest is None and path.is_dir():
            continue
        if not path.is_file() or digest != digest_of(path):
            what = "is not the same file" if path.is_file() else "is not there"
            raise UsageError(
                f"{name} {what} on the host {host}",
                hint="put it on a file system that all hosts of the cluster share",
            )


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attend(
    run: LocalRun, tell: Callable[[Mapping[str, Any]], None], wanted: Callable[[], bool]
) -> None:
    """Pass on what it says, until it has ended."""
    ending: Deadline | None = None
    crash_told = False
    with selectors.DefaultSelector() as selector:
        selector.register(run.output, selectors.EVENT_READ)
        selector.register(run.death, selectors.EVENT_READ)
        ended = False
        while not ended:
            ready = {key.fd for key, _ in selector.select(TICK_SECONDS)}
            ended = run.death in ready
            if run.output in selector.get_map():
                for message in run.hear():
                    tell(_as_json(message))
                if run.silent:
                    selector.unregister(run.output)
            if run.crash_made and not crash_told:
                crash_told = True
                tell({"crash": True})
            run.kill_if_overdue()
            if ending is None and not wanted():
                ending = Deadline(GRACE_SECONDS)
                run.interrupt(signal.SIGTERM)
            if ending is not None and ending.expired:
                run.kill()


def _as_json(message: AtTask | ConsoleLine) -> dict[str, Any]:
    match message:
        case AtTask(what, note):
            return {"at": [what, note]}
        case ConsoleLine(machine, line):
            return {"console": [machine, line]}


def _teller(worker: Worker, order: Order) -> Callable[[Mapping[str, Any]], None]:
    def tell(message: Mapping[str, Any]) -> None:
        worker.log_event(order.topic, {"run": order.key, **message})

    return tell


def _wanted(worker: Worker) -> Callable[[], bool]:
    """Whether the task of this thread has still somebody who waits for it."""
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return wanted


def files_of(root: Path) -> Iterator[Remote]:
    """The plain files of the evidence in ``root``; nothing else is brought back."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        digest = sparse.digest(path) if size >= LARGE else None
        yield Remote(str(path.relative_to(root)), size, digest)
