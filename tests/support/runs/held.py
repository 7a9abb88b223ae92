"""A run of zharness that keeps a machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.deadline import Deadline
from tests.support.command_line.zharness import RUN_SECONDS, command

_LOOK_SECONDS = 0.1


@contextmanager
def kept(*arguments: object, seconds: float = RUN_SECONDS) -> Iterator[subprocess.Popen[str]]:
    """Start zharness with these arguments; the block begins when its machine is kept."""
    evidence = Path(str(arguments[arguments.index("--output") + 1]))
    run = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with run:
        try:
            deadline, never = Deadline(seconds), threading.Event()
            while not (evidence / "held.json").exists():
                assert run.poll() is None, run.communicate()
                assert not deadline.expired, "no machine was kept"
                never.wait(_LOOK_SECONDS)
            yield run
        finally:
            run.kill()
