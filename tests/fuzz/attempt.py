"""One input given to one reader, and what became of it."""

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

CPU_SECONDS = 10  # of the process, not of the clock; the slowest input takes a fraction of one
EXTRA_MEMORY = 64 << 20  # bytes that all of a run may take more than before


class Result(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ESCAPED = "escapes"


class Outcome(NamedTuple):
    """``why`` is the refusal, or what no reader may raise."""

    result: Result
    why: str = ""


class TooLongError(Exception):
    """A reader takes more CPU time than any input of such a size may cost."""


def attempt(read: Callable[[bytes, Path], None], data: bytes, path: Path) -> Outcome:
    """``read`` may return, or raise the one error that is meant for a damaged file, naming it."""
    try:
        with _cpu_limit():
            read(data, path)
    except EvidenceError as error:
        if path.name in error.message:
            return Outcome(Result.REFUSED, error.message)
        return Outcome(Result.ESCAPED, f"names no file: {error.message}")
    except Exception:  # whatever it is, is what is looked for
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
    """Whoever takes much more memory than is taken now gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + EXTRA_MEMORY
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
