"""What somebody or something does to a dump system at one of its SDIAS requests.

The machine is stopped then, in the dump kernel's handler of the service signal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from harness.deadline import Deadline
from harness.faults.fault import Fault, Place
from harness.qemu.gdbstub.client import GdbClient
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam

PAUSE_SECONDS = 3.0
REPLY_SECONDS = 30.0
# no table translates it: behind all that a kernel maps, below what needs another table level
UNMAPPED = 0x0007_FFFF_FFFF_F000
# 64-bit addressing, without address translation, disabled for all interruptions
DISABLED_PSW_MASK = 0x0000_0001_8000_0000
LOOP_AT = 8  # in the lowcore: only the load itself uses these bytes (the IPL CCWs)
LOOP = bytes.fromhex("a7f40000")  # j .


class Then(Enum):
    """How the session goes on."""

    RUN = "run"
    STOPPED = "stopped by the operator"  # for good
    RESET = "reset by the operator"


class Interference:
    """The faults that happen at SDIAS requests. ``played`` counts by fault how often."""

    def __init__(self, faults: Iterable[Fault], device: str) -> None:
        self._faults = tuple(fault for fault in faults if fault.kind.name in KINDS)
        self._device = device
        self.played = {str(fault): 0 for fault in self._faults}

    @property
    def wanted(self) -> bool:
        """Whether anything is to happen at all."""
        return bool(self._faults)

    def happens_at(self, number: int) -> bool:
        """Whether something is to be done at SDIAS request ``number``."""
        return any(fault.at(Place.REQUEST) == number for fault in self._faults)

    def at_request(
        self, number: int, qemu: Qemu, gdb: GdbClient, ram: GuestRam, lowcore: int | None
    ) -> Then:
        """Do what is to be done at SDIAS request ``number``, after its answer.

        ``lowcore`` is the absolute address of the CPU's lowcore; None if that is not known.
        """
        then = Then.RUN
        for fault in self._faults:
            if fault.at(Place.REQUEST) != number:
                continue
            self.played[str(fault)] += 1
            name = fault.kind.name
            if name in _ENDS:
                then = _ENDS[name]
            elif name == "system-hang":
                _hang(gdb, ram, lowcore)
            else:
                _ACTIONS[name](qemu, gdb, self._device)
        return then


def _oops(_qemu: Qemu, gdb: GdbClient, _device: str) -> None:
    gdb.write_register("pswa", UNMAPPED)


def _hang(gdb: GdbClient, ram: GuestRam, lowcore: int | None) -> None:
    ram.write((lowcore or 0) + LOOP_AT, LOOP)
    gdb.write_register("pswm", DISABLED_PSW_MASK)
    gdb.write_register("pswa", LOOP_AT)


def _pause(_qemu: Qemu, _gdb: GdbClient, _device: str) -> None:
    threading.Event().wait(PAUSE_SECONDS)


def _restart(qemu: Qemu, _gdb: GdbClient, _device: str) -> None:
    qemu.monitor.execute("inject-nmi", deadline=Deadline(REPLY_SECONDS))


def _unplug(qemu: Qemu, _gdb: GdbClient, device: str) -> None:
    qemu.monitor.execute("device_del", {"id": device}, deadline=Deadline(REPLY_SECONDS))


_ACTIONS: Mapping[str, Callable[[Qemu, GdbClient, str], None]] = {
    "system-oops": _oops,
    "operator-pause": _pause,
    "operator-restart": _restart,
    "disk-gone": _unplug,
}
_ENDS: Mapping[str, Then] = {"operator-stop": Then.STOPPED, "operator-reset": Then.RESET}
KINDS = frozenset({*_ACTIONS, *_ENDS, "system-hang"})
