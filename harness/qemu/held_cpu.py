"""Our side of the plugin that holds a CPU at an external interruption; see images/plugin/hold.c."""

from __future__ import annotations

import math
import mmap
import os
import select
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import clock
from harness.closing import Closing
from harness.errors import QemuDied
from harness.qemu.scheduling import waited_for_a_cpu

_CONTROL = struct.Struct("=QQI2s")  # struct control
_HELD = struct.Struct("=II8s")  # struct held
_GO_ON = b"\0"
_TRIES = struct.Struct("=I")
_TRIES_AT = 24  # within struct control
# How often each side looks before it sleeps. The guest's code for a page took some 90 of our looks;
# after 400 looks 1 request in 40 or fewer was not there yet.
_OUR_TRIES, _THEIR_TRIES = 400, 300


def option(plugin: Path, **arguments: int | None) -> str:
    """The argument of QEMU's -plugin; a comma is doubled (qemu-options.hx)."""
    words = [f"file={str(plugin).replace(',', ',,')}"]
    return ",".join([*words, *(f"{name}={value}" for name, value in arguments.items())])


@dataclass(frozen=True)
class Held:
    """A CPU waits: ``interruption`` has its parameter (4 bytes), CPU address (2), code (2).

    None if it is another CPU than that whose parameters are known.
    """

    cpu: int
    interruption: bytes | None


class BusyWait:
    """Whether to wait without sleep for what will come soon: only while the host has CPUs to spare.

    A CPU that has nothing to do sleeps, too, and to wake it takes longer than to play an SDIAS
    request. But a thread that waits busily takes a CPU from others. So it is not ``allowed`` for a
    while if this thread had to wait for one.

    Source: Linux Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat: time spent waiting
    on a run queue. Without it a busy wait is never allowed.
    """

    CHECK_SECONDS = 0.02
    PAUSE_SECONDS = 0.3
    MOST_WAITING = 0.25  # of the time; 0.13 was seen on an idle host, 0.5 on a busy one

    def __init__(self, waited: Callable[[], float | None] = waited_for_a_cpu) -> None:
        self._read = waited
        self._waited, self._since = waited(), clock.now()
        self._allowed = False

    def allowed(self) -> bool:
        """Cheap enough to be asked each time."""
        elapsed = clock.now() - self._since
        if elapsed >= (self.CHECK_SECONDS if self._allowed else self.PAUSE_SECONDS):
            before, self._waited = self._waited, self._read()
            self._since += elapsed
            self._allowed = (
                before is not None
                and self._waited is not None
                and self._waited - before <= self.MOST_WAITING * elapsed
            )
        return self._allowed


class HeldCpu(Closing):
    """Owns the socket to the plugin, and the memory with which it is told when to hold a CPU.

    ``control`` and ``theirs`` are the file descriptors for QEMU.
    """

    def __init__(self) -> None:
        self._busy_wait, self._tries = BusyWait(), 0
        with ExitStack() as stack:
            self.control = os.memfd_create("hold-control", os.MFD_CLOEXEC)
            stack.callback(os.close, self.control)
            os.ftruncate(self.control, mmap.PAGESIZE)
            self._map = stack.enter_context(mmap.mmap(self.control, mmap.PAGESIZE))
            # messages, so that none comes in parts
            self._socket, self.theirs = socket.socketpair(
                socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
            )
            stack.callback(self._socket.close)
            stack.callback(self.theirs.close)
            # a selector of the standard library takes four times as long, at each page of the HSA
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
            self._also: int | None = None
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()

    def arm(self, handler: int, interruption: int, cpu: int, code: int) -> None:
        """Hold ``cpu`` whenever it comes to ``handler``, because of interruptions with ``code``.

        ``handler`` is a virtual address; code that is translated from now on is looked at.
        ``interruption`` is the absolute address of the CPU's interruption parameters. The machine
        must be stopped.
        """
        self._map[: _CONTROL.size] = _CONTROL.pack(
            handler, interruption, cpu, code.to_bytes(2, "big")
        )

    def disarm(self) -> None:
        """Hold no CPU any more. One that is held goes on, whatever it was held for."""
        self._map[: _CONTROL.size] = bytes(_CONTROL.size)
        self._socket.shutdown(socket.SHUT_RDWR)

    def wait(self, other: int, seconds: float) -> Held | None:
        """The CPU that is held, or None after ``seconds`` or if ``other`` is readable.

        Raises QemuDied if QEMU is gone.
        """
        if self._also != other:
            if self._also is not None:
                self._poll.unregister(self._also)
            self._poll.register(other, select.POLLIN)
            self._also = other
        ready = dict(self._ready(seconds))
        if self._socket.fileno() not in ready:
            return None
        try:
            data = self._socket.recv(_HELD.size)
        except OSError:
            data = b""
        if len(data) != _HELD.size:
            raise QemuDied("QEMU closed the socket of its plugin")
        cpu, known, interruption = _HELD.unpack(data)
        return Held(cpu, interruption if known else None)

    def _ready(self, seconds: float) -> list[tuple[int, int]]:
        tries = _OUR_TRIES if self._busy_wait.allowed() else 0
        if tries != self._tries:
            _TRIES.pack_into(self._map, _TRIES_AT, _THEIR_TRIES if tries else 0)
            self._tries = tries
        for _ in range(tries):
            if ready := self._poll.poll(0):
                return ready
        return self._poll.poll(math.ceil(seconds * 1000))

    def go_on(self) -> None:
        """Let the CPU that is held go on; raises QemuDied."""
        try:
            self._socket.send(_GO_ON)
        except OSError as error:
            raise QemuDied("QEMU closed the socket of its plugin") from error
