"""The parent's side of one worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import IO

from harness.closing import Closing
from harness.errors import HostError
from harness.host.child import dying_with_us, our_module
from harness.run.batch.job import RunJob
from harness.run.batch.messages import Message, MessageReader

_CHUNK = 1 << 16
_ERROR_BYTES = 1 << 20


def worker_command() -> list[str]:
    """How to start a worker."""
    return our_module("harness.run.batch.worker")


class WorkerProcess(Closing):
    """A worker with its ``job``: its process, its messages, its standard error.

    ``output`` is readable when ``read`` has something to do, ``death`` once the process is dead;
    both are file descriptors. ``silent`` says that ``read`` has come to the end.
    Raises HostError if it cannot be started.
    """

    def __init__(self, job: RunJob, command: Sequence[str]) -> None:
        self.silent = False  # no more messages will come
        self._reader = MessageReader()
        with ExitStack() as stack:
            self._errors = stack.enter_context(tempfile.TemporaryFile())
            self._popen = _start(job, command, self._errors)
            stack.callback(self._end)
            assert self._popen.stdout is not None
            self.output = self._popen.stdout.fileno()
            os.set_blocking(self.output, False)
            self.death = os.pidfd_open(self._popen.pid)
            stack.callback(os.close, self.death)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Kill the process if it still runs."""
        self._stack.close()

    def read(self) -> Iterator[Message]:
        """The messages that have come; raises ProtocolError for anything that is not a message."""
        with suppress(BlockingIOError):
            while data := os.read(self.output, _CHUNK):
                yield from self._reader.feed(data)
            self.silent = True

    def interrupt(self, number: int) -> None:
        """Ask it to end, with this signal; it cleans up."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        self._popen.kill()

    def wait(self) -> str:
        """How the process ended; call it only when the process has ended or is about to."""
        status = self._popen.wait()
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"

    def errors(self) -> bytes:
        """Its standard error; only the end if there is very much."""
        # pread: the worker writes at the offset of this very file description
        fd = self._errors.fileno()
        return os.pread(fd, _ERROR_BYTES, max(0, os.fstat(fd).st_size - _ERROR_BYTES))

    def last_words(self) -> str:
        """The last line of that, or ``nothing``."""
        lines = self.errors().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def _end(self) -> None:
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        self._popen.kill()
        self._popen.wait()


def _start(job: RunJob, command: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # a file, unlike a pipe, can hold the whole job
    with tempfile.TemporaryFile() as orders:
        orders.write(json.dumps(job.to_json(), default=str).encode())
        orders.seek(0)
        try:
            return subprocess.Popen(
                dying_with_us(command),
                stdin=orders,
                stdout=subprocess.PIPE,
                stderr=errors,
                # a terminal's Ctrl-C is for the parent, which then interrupts its workers
                start_new_session=True,
            )
        except OSError as error:
            raise HostError(f"{command[0]} cannot be started: {error.strerror}") from error
