"""Which machine functions QEMU provided in a run, which the harness played, which were absent.

Every verdict has this list, so that a PASS never claims more than was tested.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from harness.scenario.crashed import Load
from harness.triggers.trigger import Stopped, Trigger


class Provider(StrEnum):
    """Who provided a machine function; ``GIVEN``: the user."""

    QEMU = "QEMU"
    HARNESS = "harness"
    ABSENT = "absent"
    GIVEN = "given"


@dataclass(frozen=True)
class Function:
    """One machine function and who provided it."""

    function: str
    provider: Provider
    detail: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


FUNCTIONS = (
    Function("instructions, interruptions, timers", Provider.QEMU, "TCG"),
    Function(
        "loading the dump system from the SCSI disk",
        Provider.QEMU,
        "s390-ccw.img follows zipl's boot map; a dump component table is shown to it as an IPL one",
    ),
    Function(
        "boot program, block of the boot record",
        Provider.HARNESS,
        "the boot program is s390-ccw.img's load parameter; it reads block 0 only, and is shown "
        "the asked boot record there",
    ),
    Function(
        "preserving old memory",
        Provider.HARNESS,
        "a copy of the crashed machine's memory; pages that s390-ccw.img overwrote are put back",
    ),
    Function(
        "HSA: contents and store status of the IPL CPU",
        Provider.HARNESS,
        "from the crash snapshot, registers at absolute 0x1200",
    ),
    Function("SDIAS", Provider.HARNESS, "answered at the service signal, synchronous form"),
    Function(
        "SCLP: HSA size in Read SCP Information",
        Provider.HARNESS,
        "one field; the rest of the answer and every other command are QEMU's",
    ),
    Function(
        "SCLP: SDIAS in the event mask",
        Provider.ABSENT,
        "QEMU's mask stands unchanged; Linux asks the event itself, not the mask",
    ),
    Function(
        "SIGP store status and store additional status",
        Provider.HARNESS,
        "at the instruction, from the crash snapshot; also sense, until the CPUs are taken over",
    ),
    Function(
        "vector registers of the IPL CPU over the load",
        Provider.HARNESS,
        "written back at the kernel entry",
    ),
    Function(
        "DIAGNOSE X'308': IPL parameter block, HSA release, re-IPL request",
        Provider.HARNESS,
        "at the instruction; resets (subcodes 0 and 1) and program exceptions are QEMU's",
    ),
    Function("FCP channel and zfcp", Provider.ABSENT, "disks are virtio-scsi"),
)


# QEMU itself loads the system: nothing is played
LOADED_BY_QEMU = (
    Function("loading the crashed system", Provider.QEMU, "QEMU's own loader (-kernel)"),
    Function(
        "DIAGNOSE X'308': the re-IPL itself",
        Provider.ABSENT,
        "there is no disk to load the original system from; a request ends the run",
    ),
)
LOADED_FROM_DISK = (
    Function("loading the crashed system from its SCSI disk", Provider.QEMU, "s390-ccw.img"),
    Function(
        "the crashed system's IPL parameter block, list-directed dump in Read SCP Information",
        Provider.HARNESS,
        "at the instruction and at the service signal",
    ),
    Function(
        "DIAGNOSE X'308': load normal with dump, by the crashed system",
        Provider.HARNESS,
        "the machine stops at the instruction; that is the moment of the dump load",
    ),
    Function(
        "DIAGNOSE X'308': the re-IPL itself",
        Provider.HARNESS,
        "a new QEMU with clear memory loads the original system's disk, if the block names it",
    ),
)
STOPS = {
    Stopped.DISABLED_WAIT: Function("stopping the crashed system", Provider.QEMU, "disabled wait"),
    Stopped.ALL_STOPPED: Function("stopping the crashed system", Provider.QEMU, "stopped CPUs"),
    Stopped.BY_OPERATOR: Function("the operator's stop of all CPUs", Provider.HARNESS, "QMP stop"),
}
GIVEN_DISK = Function(
    "preparing the dump disk",
    Provider.GIVEN,
    "by the user: zipl, dump kernel, ramdisk and parmline are the disk's",
)
NETWORK = Function(
    "network of the crashed system",
    Provider.QEMU,
    "user-mode, restricted: nothing but the harness reaches it, and only its SSH server",
)
FROZEN = Function(
    "boot of the crashed system",
    Provider.HARNESS,
    "it goes on from a frozen system: its clock is late, its random numbers repeat, a CPU timer "
    "that ran then does not interrupt",
)
HELD = {  # by what outcome.json says
    "gdbstub": Function(
        "stop at service signals", Provider.QEMU, "a read watchpoint of the gdbstub: all CPUs stop"
    ),
    "plugin": Function(
        "stop at service signals",
        Provider.QEMU,
        "a TCG plugin holds the CPU in its handler; the first ones by a watchpoint",
    ),
}
PSW_RESTART = Function("the operator's PSW restart", Provider.QEMU, "QMP inject-nmi, CPU 0")


def statement(
    load: Load,
    trigger: Trigger,
    *,
    given_disk: bool = False,
    full: bool = False,
    frozen: bool = False,
    intercepted_by: str | None = None,
) -> list[dict[str, str]]:
    """For ``verdict.json``: the functions that a run with this load and trigger needed.

    ``full``: the crashed system is a full one, reached over SSH. ``frozen``: it did not boot.
    ``intercepted_by``: as outcome.json says; None without a dump.
    """
    functions = list(FUNCTIONS)
    functions += LOADED_FROM_DISK if load is Load.SCSI else LOADED_BY_QEMU
    if stop := STOPS.get(trigger.stopped):
        functions.append(stop)
    if (held := HELD.get(intercepted_by or "")) is not None:
        functions.append(held)
    if trigger.restart:
        functions.append(PSW_RESTART)
    if full:
        functions.append(NETWORK)
    if frozen:
        functions.append(FROZEN)
    if given_disk:
        functions.append(GIVEN_DISK)
    return [function.to_json() for function in functions]
