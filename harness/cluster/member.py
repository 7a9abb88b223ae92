"""A host of a cluster: what it can take, the runs that are under way, and its directories."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask.typing import Key
from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from harness import __version__
from harness.cluster.access import Access
from harness.cluster.order import PLUGIN, RUN, HostState
from harness.cluster.quiet import configured
from harness.errors import HarnessError, HostError
from harness.files.lock import alone
from harness.qemu.binary import find_qemu
from harness.run.batch.capacity import OVERHEAD, capacity
from harness.run.batch.local_run import LocalRun

SPARE = 1 << 30  # bytes that must stay free, besides twice the memory of a run
DEATH_SECONDS = 60  # without a scheduler, then the worker ends
_LEAVE_SECONDS, _LOOK_SECONDS = 5.0, 0.25
_THREADS = 256  # never a limit: our schedule says how many runs there are


@dataclass
class Member(WorkerPlugin):
    """Lives in a worker of dask; ``directory`` is its own, and is emptied at its start and end."""

    host: str
    store: Path
    directory: Path
    cpus: int
    name: str = PLUGIN
    running: dict[str, LocalRun] = field(default_factory=dict)  # by the key of its order
    kept: dict[str, Key] = field(default_factory=dict)  # evidence not fetched, with its task

    def __post_init__(self) -> None:
        self.room = capacity(self.cpus)  # before anything runs
        self.leaving = False
        self._taken: list[int] = []  # memory of the runs, of all users of the cluster
        self._tasks: set[Key] = set()  # runs whose results nobody has yet
        self._changed = threading.Condition()

    def teardown(self, worker: Worker) -> None:
        """Called by dask at the end, for whatever reason: nobody hears of these runs any more."""
        self.leave()

    def leave(self) -> None:
        """Take no more runs, and end those that are here."""
        self.leaving = True
        for run in list(self.running.values()):
            run.kill()

    def transition(self, key: Key, start: str, finish: str, **_: Any) -> None:
        """Called by dask when a task changes its state: a result stays here until it is fetched."""
        with self._changed:
            if finish == "executing" and str(key).startswith(RUN):
                self._tasks.add(key)
            elif finish in ("released", "forgotten"):
                self._tasks.discard(key)
            self._changed.notify_all()

    def wait_for_runs(self, seconds: float) -> None:
        """Until somebody has the results of all runs, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._tasks, seconds)

    @contextmanager
    def room_for(self, memory: int, wanted: Callable[[], bool]) -> Iterator[None]:
        """Wait until there is room for a run; another user may have taken it.

        Raises HostError if it is wanted no more.
        """
        need = memory + OVERHEAD

        def fits() -> bool:
            free = self.room.memory - sum(self._taken)
            return need <= free and len(self._taken) < self.cpus

        with self._changed:
            while not fits():
                if self.leaving or not wanted():
                    raise HostError("it had no room before it was to end")
                self._changed.wait(_LOOK_SECONDS)
            self._taken.append(need)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(need)
                self._changed.notify_all()

    def state(self) -> HostState:
        """What this host can take now."""
        trouble, hint = None, None
        try:
            self.require_fit(0)
        except HarnessError as error:
            trouble, hint = error.message, error.hint
        room = self.room
        return HostState(self.host, __version__, room.memory, room.cpus, trouble, hint)

    def require_fit(self, memory: int) -> None:
        """Raises HarnessError if a run with so many bytes of memory cannot work on this host."""
        if self.leaving:
            raise HostError("its worker was asked to end")
        self.require_sound(memory)

    def require_sound(self, memory: int) -> None:
        """Raises HostError if its disk has no room for such a run, or if QEMU does not start."""
        needed = 2 * memory + SPARE
        for place in (self.directory, self.store):
            place.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(place).free
            if free < needed:
                raise HostError(
                    f"{place}: {free >> 20} MB are free, and a run may need {needed >> 20} MB",
                    hint="free some space: zharness prune",
                )
        find_qemu().require_start()

    def place(self, key: str) -> Path:
        """A new directory for one run."""
        place = self.directory / key
        place.mkdir(parents=True)
        return place


async def serve(access: Access, member: Member) -> None:
    """Be a host of the cluster until its scheduler ends, or SIGTERM or SIGINT comes.

    Raises HostError if the scheduler cannot be reached, or if another process has the directory.
    """
    with _own(member.directory), configured():
        await _serve(access, member)


@contextmanager
def _own(directory: Path) -> Iterator[None]:
    """Have ``directory`` alone; it is empty at the beginning and gone at the end."""
    busy = HostError(
        f"{directory}: another worker uses it",
        hint="choose another --name, or another --directory",
    )
    with alone(directory.with_name(f"{directory.name}.lock"), busy):
        shutil.rmtree(directory, ignore_errors=True)  # of a worker that was killed
        directory.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(directory, ignore_errors=True)


async def _serve(access: Access, member: Member) -> None:
    worker = Worker(
        access.address,
        security=access.security(),
        name=member.host,
        nthreads=_THREADS,
        memory_limit=0,
        death_timeout=DEATH_SECONDS,
        local_directory=str(member.directory / "dask"),
        plugins=(member,),
        dashboard=False,
    )
    try:
        await worker
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        await worker.close(reason="it could not begin")
        raise HostError(
            f"the cluster at {access.address} does not take this host: {_reason(error)}",
            hint="is its scheduler running, with these certificates, and is the name not taken?",
        ) from error
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    leaving = asyncio.create_task(_leave_when(asked, worker, member))
    await worker.finished()
    leaving.cancel()


async def _leave_when(asked: asyncio.Event, worker: Worker, member: Member) -> None:
    """End in order when that is asked: first the runs, so that they go elsewhere at once."""
    await asked.wait()
    member.leave()
    await asyncio.to_thread(member.wait_for_runs, _LEAVE_SECONDS)
    await worker.close(reason="it was asked to end")


def _reason(error: BaseException) -> str:
    """The innermost reason, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error) or type(error).__name__).splitlines()[0]
