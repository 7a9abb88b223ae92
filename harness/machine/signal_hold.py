"""Have QEMU's plugin hold the CPU at each service signal, in place of a watchpoint.

A watchpoint stops the whole machine, and slows each access to the lowcore; SDIAS causes a service
signal for each page of the HSA. The plugin holds only the CPU (``harness.qemu.held_cpu``). It is
tried at a moment at which the CPU is in its handler: then the handler and the lowcore are known.
The watchpoint stays until the plugin has held the CPU once, so a QEMU in which it does not work
loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from harness.deadline import Deadline
from harness.errors import HostError
from harness.qemu.gdbstub.client import GdbClient, NotMapped
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.held_cpu import HeldCpu
from harness.qemu.ram import GuestRam
from harness.s390x.lowcore import EXT_INT_SERVICE_SIGNAL, EXT_PARAMS, NEW_PSWS

_ADDRESS_OF_PSW = 8  # its second half
_ADDRESS_BYTES = 8
_NOW = Deadline(0)


class SignalsMissed(HostError):
    """The plugin may have missed a service signal; without it none is."""


class Way(StrEnum):
    """How the machine is intercepted at service signals."""

    GDBSTUB = "gdbstub"
    PLUGIN = "plugin"


class SignalHold:
    """``held`` is None without a plugin: then all stays with the watchpoint."""

    def __init__(self, held: HeldCpu | None, gdb: GdbClient, ram: GuestRam) -> None:
        self._held, self._gdb, self._ram = held, gdb, ram
        self._trying = self._heard = False
        self._new_psw = self._handler = 0
        self.way = Way.GDBSTUB

    def begin(self, parameters: int) -> None:
        """In the handler, at a service signal: hold the CPU from the next one on.

        ``parameters`` is the absolute address of its external interruption parameters.
        """
        # the parameters are those of CPU 0
        if self._held is None or self._trying or self._gdb.stopped_cpu != 0:
            return
        new_psw = parameters - EXT_PARAMS + NEW_PSWS["external"]
        if new_psw + _ADDRESS_OF_PSW + _ADDRESS_BYTES > self._ram.size:
            return
        self._new_psw, self._handler = new_psw, self._handler_at(new_psw)
        self._held.arm(self._handler, parameters, self._gdb.stopped_cpu, EXT_INT_SERVICE_SIGNAL)
        try:
            self._gdb.translate_again(self._handler)
        except NotMapped:
            self.end()
            return
        self._trying = True

    def at_watchpoint(self) -> bool:
        """The watchpoint has stopped the machine at a service signal: is it needed no more?"""
        if not self._trying or self.way is Way.PLUGIN:
            return False
        if not self._heard:
            self.end()
            return False
        self.way = Way.PLUGIN
        return True

    def wait_stop(self, deadline: Deadline, answer: Callable[[bytes], object]) -> StopReply | None:
        """As ``GdbClient.wait_stop``; ``answer`` gets the parameters of each signal meanwhile.

        Raises SignalsMissed if another CPU takes interruptions, or the kernel moved its handler.
        """
        if self._held is None or not self._trying:
            return self._gdb.wait_stop(deadline)
        self._require_hearing()
        stop = self._gdb.wait_stop(_NOW)
        while stop is None and not deadline.expired:
            held = self._held.wait(self._gdb.fd, deadline.remaining)
            if held is None:  # perhaps only an acknowledgement
                stop = self._gdb.wait_stop(_NOW)
            elif held.interruption is not None:
                self._heard = True
                answer(held.interruption)
                self._held.go_on()
            elif self.way is Way.GDBSTUB:
                self.end()
                return self._gdb.wait_stop(deadline)
            else:
                raise SignalsMissed(
                    f"CPU {held.cpu} took an external interruption, too, which the plugin cannot "
                    "tell from a service signal",
                )
        return stop

    def _require_hearing(self) -> None:
        """Raises SignalsMissed if the kernel has another handler now: nobody hears of that one."""
        if self.way is Way.PLUGIN and self._handler_at(self._new_psw) != self._handler:
            raise SignalsMissed("the dump system has moved its interruption handler")

    def _handler_at(self, new_psw: int) -> int:
        return int.from_bytes(self._ram.read(new_psw + _ADDRESS_OF_PSW, _ADDRESS_BYTES), "big")

    def end(self) -> None:
        """Hold no CPU any more; one that is held goes on. Raises SignalsMissed."""
        if self._held is not None:
            self._held.disarm()
            self._held = None
            self._require_hearing()
