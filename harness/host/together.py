"""Do a few things side by side that mostly wait: for a mirror, or for other programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Queue

# the time that a work has to end after its programs were ended
LEAVE_SECONDS = 5.0

_of_this_thread = threading.local()


class Ended(Exception):
    """The work was ended because another one failed, or by an interrupt."""


class _Group:
    """Works that are done side by side; ``end`` ends the programs that they run."""

    def __init__(self) -> None:
        self._results: Queue[BaseException | None] = Queue()
        self._lock = threading.Lock()
        self._running: list[Callable[[], None]] = []
        self._ended = False

    def do(self, work: Callable[[], object]) -> None:
        """In a thread of its own."""
        _of_this_thread.group = self
        try:
            work()
        except BaseException as error:  # the waiting thread raises it
            self._results.put(error)
        else:
            self._results.put(None)

    @contextmanager
    def running(self, kill: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._running.append(kill)
            if self._ended:
                kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(kill)
        if self._ended:
            raise Ended

    def wait_for_one(self) -> None:
        """Raises its error."""
        if (error := self._results.get()) is not None:
            raise error

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for kill in self._running:
                kill()


def together(works: Sequence[Callable[[], object]]) -> None:
    """Do all ``works``, each in a thread; a single one is done in this thread.

    The first error is raised. It ends the programs of all others, and so does an interrupt. Works
    that wait for anything else are not waited for longer than ``LEAVE_SECONDS`` in all.
    """
    if len(works) < 2:
        for work in works:
            work()
        return
    group, started = _Group(), []
    try:
        for work in works:
            thread = threading.Thread(target=group.do, args=(work,), daemon=True)
            thread.start()
            started.append(thread)
        for _ in works:
            group.wait_for_one()
    except BaseException:
        group.end()
        raise
    finally:
        last = time.monotonic() + LEAVE_SECONDS
        for thread in started:
            thread.join(max(0.0, last - time.monotonic()))


@contextmanager
def ended_together(kill: Callable[[], None]) -> Iterator[None]:
    """While a program runs: ``kill`` ends it if a work beside this one fails; then raises Ended."""
    group = getattr(_of_this_thread, "group", None)
    if group is None:
        yield
        return
    with group.running(kill):
        yield
