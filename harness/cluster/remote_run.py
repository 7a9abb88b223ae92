"""A run on another host, as the loop of a batch sees it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed.client import ClosedClientError, FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker, NoValidWorkerError

from harness.closing import Closing
from harness.cluster import carry
from harness.cluster.fetch import Fetch
from harness.cluster.order import RUN, Ended, Order, Piece
from harness.deadline import Deadline
from harness.errors import HarnessError, HostError, UsageError
from harness.report.verdict import Verdict
from harness.run.batch.messages import AtTask, ConsoleLine
from harness.run.batch.running import Came, Lost

if TYPE_CHECKING:
    from distributed import Client, Future

GONE = (
    *(CancelledError, FutureCancelledError, TimeoutError),
    *(KilledWorker, NoValidWorkerError, CommClosedError, ClosedClientError, ConnectionError),
)
"""What dask raises if a worker, or the scheduler, is gone."""

_LATE_SECONDS = 120.0  # beyond its limit, of which its own host knows
_FETCH_SECONDS = 3600.0  # for the evidence


class RemoteRun(Closing):
    """Owns the task of ``order`` at the worker with this ``address``, and the thread that waits.

    ``forget`` is called at its end. ``limit`` is the seconds that it may take.
    """

    def __init__(
        self,
        client: Client,
        address: str,
        order: Order,
        output: Path,
        fetch: Fetch,
        limit: float,
        forget: Callable[[str], None],
    ) -> None:
        self.started = time.monotonic()
        self.crash_made = False
        self.silent = False
        self.output, self.death = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2))
        self._client, self._address, self._order = client, address, order
        self._directory, self._fetch, self._forget = output, fetch, forget
        self._told: deque[AtTask | ConsoleLine] = deque()
        self._came: Came | None = None
        self._sent: list[Future[Any]] = []
        self._interrupted: int = signal.SIGTERM  # by this signal
        self._deadline = Deadline(limit + _LATE_SECONDS)
        self._lock = threading.Lock()  # for the descriptors, which close() takes away
        try:
            self._future = self._submit(carry.carry, order, key=f"{RUN}{order.key}")
        except BaseException:
            self._close_descriptors()
            raise
        self._thread = threading.Thread(target=self._wait, name=order.key, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._forget(self._order.key)
        self._future.release()
        self._close_descriptors()

    def _close_descriptors(self) -> None:
        with self._lock:
            for fd in (self.output, self.death):
                if fd >= 0:
                    os.close(fd)
            self.output = self.death = -1

    def told(self, message: Mapping[str, Any]) -> None:
        """Called by dask's thread, with what the host tells."""
        match message:
            case {"at": [str(what), str(note)]}:
                self._told.append(AtTask(what, note))
            case {"console": [str(machine), str(line)]}:
                self._told.append(ConsoleLine(machine, line))
            case {"crash": True}:
                self.crash_made = True
        self._signal("output")

    def hear(self) -> Iterator[AtTask | ConsoleLine]:
        with suppress(BlockingIOError):
            os.eventfd_read(self.output)
        while self._told:
            yield self._told.popleft()

    def kill_if_overdue(self) -> None:
        if self._deadline.expired and self._came is None:
            self._end(Lost(HostError(f"no answer after {self._deadline.seconds:.0f} s"), died=True))

    def interrupt(self, number: int) -> None:
        self._interrupted = number
        self._send(number)

    def kill(self) -> None:
        self._send(None)
        self._end(Verdict.interrupted(self._interrupted, None, directory=self._directory))

    def conclude(self) -> Came:
        assert self._came is not None, "it has not ended"
        return self._came

    def _submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        return self._client.submit(
            function,
            *arguments,
            workers=[self._address],
            allow_other_workers=False,
            pure=False,
            **options,
        )

    def _send(self, number: int | None) -> None:
        with suppress(*GONE):  # then there is nobody to interrupt
            # kept, because dask forgets a task that nobody has
            self._sent.append(self._submit(carry.interrupt, self._order.key, number, priority=1))

    def _wait(self) -> None:
        """Wait for the result, and for the evidence. In a thread of its own."""
        try:
            self._end(self._result(self._future.result()))
        except GONE as error:
            self._end(Lost(HostError(_words(error)), died=True))
        except HarnessError as error:
            self._end(Verdict.trouble(error, None, directory=self._directory))
        except OSError as error:
            what = f"{error.filename or self._directory}: {error.strerror}"
            unwritten = HostError(f"the evidence cannot be written: {what}")
            self._end(Verdict.trouble(unwritten, None, directory=self._directory))
        except Exception as error:  # of the code that runs there, or here
            bug = HarnessError(f"internal error: {type(error).__name__}: {error}")
            self._end(Verdict.trouble(bug, None, directory=self._directory))

    def _result(self, ended: Ended) -> Came:
        if ended.refused is not None:
            return UsageError(ended.refused[0], hint=ended.refused[1])
        if ended.unfit is not None:
            return Lost(HostError(ended.unfit[0], hint=ended.unfit[1]), died=False)
        if ended.verdict is None:  # it was not wanted any more
            return Verdict.interrupted(self._interrupted, None, directory=self._directory)
        self._deadline = Deadline(_FETCH_SECONDS)
        self._fetch.bring(
            ended.files, self._directory, partial(self._piece, ended.place), self._is_wanted
        )
        self._sent.append(self._submit(carry.discard, ended.place))
        return Verdict.from_json(ended.verdict, self._directory)

    def _is_wanted(self) -> bool:
        """Whether nothing else has come of it meanwhile."""
        return self._came is None

    def _piece(self, place: str, name: str, offset: int) -> Piece:
        part = self._submit(carry.piece, place, name, offset, priority=1).result()
        assert isinstance(part, Piece)
        return part

    def _end(self, came: Came) -> None:
        if self._came is None:
            self._came = came
            self._signal("death")

    def _signal(self, which: str) -> None:
        with self._lock:
            if (fd := getattr(self, which)) >= 0:
                os.eventfd_write(fd, 1)


def _words(error: BaseException) -> str:
    """What became of a task, in words: dask's own are about its tasks."""
    if isinstance(error, KilledWorker):
        return "its worker has died"
    return f"its worker is gone ({type(error).__name__})"
