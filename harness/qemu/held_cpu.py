"""Our side of the plugin that holds a CPU at an external interruption; see images/plugin/hold.c."""

from __future__ import annotations

import math
import mmap
import os
import select
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.closing import Closing
from harness.errors import QemuDied

_CONTROL = struct.Struct("=QQI2s")  # struct control
_HELD = struct.Struct("=II8s")  # struct held
_GO_ON = b"\0"


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


class HeldCpu(Closing):
    """Owns the socket to the plugin, and the memory with which it is told when to hold a CPU.

    ``control`` and ``theirs`` are the file descriptors for QEMU.
    """

    def __init__(self) -> None:
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
        ready = dict(self._poll.poll(math.ceil(seconds * 1000)))
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

    def go_on(self) -> None:
        """Let the CPU that is held go on; raises QemuDied."""
        try:
            self._socket.send(_GO_ON)
        except OSError as error:
            raise QemuDied("QEMU closed the socket of its plugin") from error
