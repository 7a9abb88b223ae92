"""One input for one reader, and the result."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from harness.errors import EvidenceError

CPU_SECONDS = 10  # CPU time; the slowest input takes less than one second
EXTRA_MEMORY = 64 << 20  # bytes that a run may use in addition


class Result(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ESCAPED = "escapes"


class Outcome(NamedTuple):
    """``why`` is the refusal, or the forbidden exception."""

    result: Result
    why: str = ""


class TooLongError(Exception):
    """A reader used too much CPU time for an input of this size."""


def attempt(read: Callable[[bytes, Path], None], data: bytes, path: Path) -> Outcome:
    """``read`` may return, or raise the one error for damaged files; it must name the file."""
    try:
        with _cpu_limit():
            read(data, path)
    except EvidenceError as error:
        if path.name in error.message:
            return Outcome(Result.REFUSED, error.message)
        return Outcome(Result.ESCAPED, f"names no file: {error.message}")
    except Exception:  # the fuzzer looks for every other exception
        return Outcome(Result.ESCAPED, traceback.format_exc(limit=-4))
    return Outcome(Result.ACCEPTED)


@contextmanager
def _cpu_limit() -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise TooLongError(f"more than {CPU_SECONDS} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def memory_limit() -> Iterator[None]:
    """Limit the memory: code that needs much more than is used now gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + EXTRA_MEMORY
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
