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


class Way(StrEnum):
    """How the machine is intercepted at service signals."""

    GDBSTUB = "gdbstub"
    PLUGIN = "plugin"


class SignalHold:
    """``held`` is None without a plugin: then all stays with the watchpoint."""

    def __init__(self, held: HeldCpu | None, gdb: GdbClient, ram: GuestRam) -> None:
        self._held, self._gdb, self._ram = held, gdb, ram
        self._trying = self._heard = False
        self.way = Way.GDBSTUB

    def begin(self, parameters: int) -> None:
        """In the handler, at a service signal: hold the CPU from the next one on.

        ``parameters`` is the absolute address of its external interruption parameters.
        """
        if self._held is None or self._trying:
            return
        new_psw = parameters - EXT_PARAMS + NEW_PSWS["external"]
        if new_psw + _ADDRESS_OF_PSW + _ADDRESS_BYTES > self._ram.size:
            return
        address = self._ram.read(new_psw + _ADDRESS_OF_PSW, _ADDRESS_BYTES)
        handler = int.from_bytes(address, "big")
        self._held.arm(handler, parameters, self._gdb.stopped_cpu, EXT_INT_SERVICE_SIGNAL)
        try:
            self._gdb.translate_again(handler)
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

        Raises HostError if a CPU takes service signals whose lowcore is not known.
        """
        if self._held is None or not self._trying:
            return self._gdb.wait_stop(deadline)
        while not deadline.expired:
            held = self._held.wait(self._gdb.fd, deadline.remaining)
            if held is None:
                return self._gdb.wait_stop(deadline)
            if held.interruption is None:
                raise HostError(
                    f"CPU {held.cpu} took an external interruption, too, which the plugin cannot "
                    "tell from a service signal",
                    hint="run it with ZHARNESS_INTERCEPT=gdbstub in the environment",
                )
            self._heard = True
            answer(held.interruption)
            self._held.go_on()
        return None

    def end(self) -> None:
        """Hold no CPU any more; one that is held goes on."""
        if self._held is not None:
            self._held.disarm()
            self._held = None
