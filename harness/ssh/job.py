"""One call in a thread of its own, because it may wait without a limit."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Job(Generic[_Result]):
    """Runs ``work`` in a new thread, which ends with it."""

    def __init__(self, work: Callable[[], _Result], name: str) -> None:
        self._work = work
        self._future: concurrent.futures.Future[_Result] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        """Whether the work has ended; waits ``seconds`` for it at most."""
        return bool(concurrent.futures.wait([self._future], seconds).done)

    def result(self) -> _Result:
        """What the work returned, or raises what it raised; only once it has ``ended``."""
        self._thread.join()
        return self._future.result(0)

    def _run(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as error:
            self._future.set_exception(error)
