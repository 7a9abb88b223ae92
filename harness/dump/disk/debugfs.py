"""Ask e2fsprogs' debugfs about a file system in an image, within limits.

It takes ``IMAGE?offset=BYTES`` for a file system within a disk image (libext2fs ``unix_io``). With
a damaged file system that has loops, debugfs would run and print without end.
"""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile

from harness.dump.byte_source import File
from harness.errors import EvidenceError, HostError
from harness.host.tools import find_tool
from harness.limits import exceeded, limits

# debugfs's messages if the host is at fault (errno(3), e2fsprogs lib/ext2fs/ext2_err.et)
_OF_THE_HOST = re.compile(
    "Cannot allocate memory|Memory allocation failed|Permission denied|Operation not permitted"
)
_SECONDS = 120  # elapsed time; an answer takes less than one second, and CPU time is limited, too
_PIECE = 1 << 16  # bytes that are read at a time
_COMPLAINTS = 1 << 16  # bytes; the first line counts
_PROMPT = re.compile(r"^debugfs: .*\n", re.MULTILINE)


class CpuTime:
    """Seconds of CPU time that all debugfs processes for one dump may take together."""

    def __init__(self) -> None:
        self._limit, self._before = limits().debugfs_seconds, _of_children()

    def left(self, name: str) -> int:
        """Whole seconds that are left, at least 1.

        Raises LimitError, for the image ``name``, if none are left.
        """
        left = self._limit - (_of_children() - self._before)
        if left <= 0:
            raise exceeded(name, "keeps debugfs busy longer, in seconds", self._limit)
        return 1 + int(left)


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Debugfs:
    """Asks about the file system at byte ``start`` of the open image ``disk``.

    A message of debugfs becomes an EvidenceError, or a HostError if the host is at fault. An answer
    that exceeds the limit is a LimitError.
    """

    def __init__(self, disk: File, start: int, time: CpuTime) -> None:
        self._fd, self._name, self._time = disk.file.fileno(), disk.name, time
        # by descriptor, because debugfs reads a '?' in a path as the start of its options
        self._device = f"/proc/self/fd/{self._fd}?offset={start}"

    def ask(self, request: str, most: int) -> str:
        """The answer, of up to ``most`` bytes."""
        with TemporaryFile() as nothing:
            return self._run(["-R", request], nothing.fileno(), request, most)

    def ask_all(self, requests: Sequence[str], most: int) -> list[str]:
        """The answers, of up to ``most`` bytes together."""
        with TemporaryFile() as script:
            script.write("".join(f"{request}\n" for request in requests).encode())
            script.seek(0)
            told = self._run(["-f", "-"], script.fileno(), requests[0], most)
        answers = _PROMPT.split(told)[1:]  # it prints each request again after its prompt
        if len(answers) != len(requests):
            what = f"debugfs gave {len(answers)} answers to {len(requests)} requests"
            raise EvidenceError(f"{self._name}: {what}")
        return answers

    def _run(self, options: Sequence[str], script: int, request: str, most: int) -> str:
        with (
            TemporaryFile() as errors,
            subprocess.Popen(
                [find_tool("debugfs"), *options, self._device],
                stdin=script,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=(self._fd,),
                env={**os.environ, "LC_ALL": "C"},
            ) as process,
        ):
            try:
                self._confine(process.pid)
                told = _output(process, most)
            finally:
                process.kill()
            errors.seek(0)
            complaints = errors.read(_COMPLAINTS)
        if told is None:
            raise HostError(f"{self._name}: debugfs did not answer '{request}' within {_SECONDS} s")
        if len(told) > most:
            raise exceeded(self._name, f"makes debugfs answer '{request}' with more bytes", most)
        self._check(process.returncode, complaints)
        return told.decode(errors="replace")

    def _confine(self, pid: int) -> None:
        cpu, memory = self._time.left(self._name), limits().memory // 2
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu + 1))
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_COMPLAINTS, _COMPLAINTS))

    def _check(self, status: int, errors: bytes) -> None:
        if -status in (signal.SIGXCPU, signal.SIGXFSZ):
            raise exceeded(
                self._name, "keeps debugfs busy longer, in seconds", limits().debugfs_seconds
            )
        if status < 0:
            raise HostError(f"debugfs was killed by signal {-status} while it read {self._name}")
        # debugfs always exits with 0, so only its messages tell whether it failed
        said = [line.strip() for line in errors.decode(errors="replace").splitlines()]
        complaints = [line for line in said if line and not re.match(r"debugfs \d", line)]
        if complaints:  # the first message names the cause
            what = complaints[0].replace(self._device, "the partition")
            kind = HostError if _OF_THE_HOST.search(what) else EvidenceError
            raise kind(f"{self._name}: {what}")


def _output(process: subprocess.Popen[bytes], most: int) -> bytes | None:
    """All output up to the end of ``process``, but at most one byte more than ``most``.

    None if the process takes longer than its time. No thread watches the time: if memory is
    limited, Python may wait for ever for a thread that had none to start with.
    """
    assert process.stdout is not None
    end = time.monotonic() + _SECONDS
    output, told = process.stdout.fileno(), bytearray()
    ready = select.poll()
    ready.register(output, select.POLLIN)
    while len(told) <= most:
        if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            return None
        piece = os.read(output, min(_PIECE, most + 1 - len(told)))
        if not piece:
            break
        told += piece
    else:
        process.kill()
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return bytes(told)
