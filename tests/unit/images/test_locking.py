"""A wait for another process is told; one for another thread is not."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.images.locking import locked

SECONDS = 30


class Told:
    """Collects the tasks; each frees ``held``."""

    def __init__(self, held: Any = None) -> None:
        self.tasks: list[str] = []
        self.held = held

    @contextmanager
    def task(self, what: str, *_: object) -> Iterator[None]:
        self.tasks.append(what)
        if self.held is not None:
            fcntl.flock(self.held, fcntl.LOCK_UN)
        yield


def test_threads_wait_for_each_other_in_silence(tmp_path: Path) -> None:
    told, first, order = Told(), threading.Event(), []

    def second() -> None:
        first.wait(SECONDS)
        with locked(tmp_path / "lock", "it", told):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with locked(tmp_path / "lock", "it", told):
        first.set()
        thread.join(0.2)  # long enough to begin to wait
        order.append("first")
    thread.join(SECONDS)
    assert order == ["first", "second"]
    assert told.tasks == []


def test_a_wait_for_another_process_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("1234")
    with path.open() as other:  # flock(2): another open file is as another process
        fcntl.flock(other, fcntl.LOCK_EX)
        told = Told(other)
        with locked(path, "it", told):
            assert told.tasks == ["wait for process 1234, which is at it"]
