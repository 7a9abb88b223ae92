"""All kinds of faults.

The promises come from the dump system's code: Linux 6.12 ``drivers/s390/char/sclp_sdias.c``,
``zcore.c``, ``arch/s390/kernel/smp.c`` and ``crash_dump.c``. Whether a kernel keeps its promise is
what a run with a fault finds out; docs/faults.md has what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.fault import Fault, FaultKind, Group, Place, Promise, parse

_ONCE_OR_MORE = (Place.COUNT,)
_REQUEST_OR_PAGE = (Place.REQUEST, Place.ADDRESS)


def _sdias(name: str, summary: str, promise: Promise, why: str) -> FaultKind:
    return FaultKind(Group.MACHINE, name, summary, promise, why, _REQUEST_OR_PAGE, _ONCE_OR_MORE)


_PAGE_IS_LOST = "sclp_sdias_copy returns -EIO, and the read of /proc/vmcore fails"

SDIAS = (
    _sdias(
        "sdias-not-accepted",
        "the machine is busy: it does not set the flag 'accepted' (X'80')",
        Promise.SURVIVES,
        "sdias_sclp_send repeats the request up to 300 times (SDIAS_RETRIES)",
    ),
    _sdias(
        "sdias-equipment-check",
        "response code X'0340', contained equipment check; nothing is stored",
        Promise.REFUSED,
        _PAGE_IS_LOST,
    ),
    _sdias(
        "sdias-invalid-sccb",
        "response code X'0300', insufficient SCCB length; nothing is stored",
        Promise.REFUSED,
        _PAGE_IS_LOST,
    ),
    _sdias(
        "sdias-no-data",
        "event status X'03', no data; nothing is stored",
        Promise.REFUSED,
        _PAGE_IS_LOST,
    ),
    _sdias(
        "sdias-part-stored",
        "event status X'10', partly stored, with a block count of 0; nothing is stored",
        Promise.REFUSED,
        "what was not stored cannot be in the dump",
    ),
    _sdias(
        "sdias-unknown-status",
        "event status X'7F', which is not defined; nothing is stored",
        Promise.REFUSED,
        _PAGE_IS_LOST,
    ),
    _sdias(
        "sdias-wrong-length",
        "the event buffer of the answer has length 0; the block is stored",
        Promise.SURVIVES,
        "sdias_sclp_send does not look at the length of a synchronous answer",
    ),
    _sdias(
        "sdias-lost",
        "the block is stored, but the service signal tells of no SCCB",
        Promise.SURVIVES,
        "sclp_request_timeout repeats a request without an answer after 30 s (drivers/s390/char/"
        "sclp.c, SCLP_RETRY_INTERVAL)",
    ),
    _sdias(
        "sdias-other-sccb",
        "the block is stored, but the service signal tells of another SCCB",
        Promise.SURVIVES,
        "__sclp_find_req finds no such request, and the own one is repeated after 30 s",
    ),
)
ASYNCHRONOUS = FaultKind(
    Group.MACHINE,
    "sdias-asynchronous",
    "the machine has the asynchronous form only: the first request is told of no block, all others "
    "are answered by an event",
    Promise.SURVIVES,
    "sclp_sdias_init tries the synchronous form, then the asynchronous one",
)
SCLP_BUSY = FaultKind(
    Group.MACHINE,
    "sclp-busy",
    "the SCLP is busy: the service call that follows the SDIAS request before this one gets "
    "condition code 2",
    Promise.SURVIVES,
    "__sclp_start_request tries again after 10 s (drivers/s390/char/sclp.c, SCLP_BUSY_INTERVAL)",
    (Place.REQUEST,),
    _ONCE_OR_MORE,
)
HSA = (
    FaultKind(
        Group.MACHINE,
        "hsa-size-zero",
        "Read SCP Information tells of no HSA",
        Promise.REFUSED,
        "zcore_init ends with -ENODEV (check_sdias)",
    ),
    FaultKind(
        Group.MACHINE,
        "hsa-told-smaller",
        "Read SCP Information tells of a smaller HSA than there is",
        Promise.SURVIVES,
        "the kernel keeps below the size that it is told; all above is still in memory",
        (Place.SIZE,),
    ),
    FaultKind(
        Group.MACHINE,
        "hsa-told-larger",
        "Read SCP Information tells of a larger HSA than there is",
        Promise.REFUSED,
        "a block that the HSA does not have is refused, so its page cannot be read",
        (Place.SIZE,),
    ),
    FaultKind(
        Group.MACHINE,
        "hsa-released-early",
        "the HSA is lost at this SDIAS request",
        Promise.REFUSED,
        _PAGE_IS_LOST,
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.MACHINE,
        "no-sdias",
        "the machine does not know SDIAS: response code X'40F0' for every request",
        Promise.REFUSED,
        "the size of the HSA cannot be asked for, and no block can be read",
    ),
)
_NO_CPU = (
    (r"^registers: CPU \d+ \(prefix 0x[0-9a-f]+\) is missing: ",),
    (
        r"^semantic: CPUs: none in the dump has the prefix of CPU \d+, ",
        r"^semantic: CPUs: no stack leads to ",  # if that CPU made the system crash
    ),
)
SIGP = (
    FaultKind(
        Group.MACHINE,
        "sigp-not-operational",
        "the CPU is not operational: condition code 3 for each order",
        Promise.PARTIAL,
        "smp_save_dump_secondary_cpus leaves out a CPU that SENSE does not find",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
    FaultKind(
        Group.MACHINE,
        "sigp-check-stop",
        "the CPU is in the check-stop state: status X'10' for each order",
        Promise.PARTIAL,
        "no status is stored for the CPU, so the dump cannot have its registers",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
    FaultKind(
        Group.MACHINE,
        "sigp-status-refused",
        "the CPU answers to SENSE, but not to store status: status X'200', incorrect state",
        Promise.PARTIAL,
        "no status is stored for the CPU, so the dump cannot have its registers",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
)
_NO_DUMP = "what cannot be written is no dump: the tool writes the first page last"
_NOT_LOADED = "what is loaded is not what zipl wrote, so no dump tool runs"
DISK = (
    FaultKind(
        Group.DISK,
        "disk-write-error",
        "each write to this block of the dump disk fails (EIO)",
        Promise.REFUSED,
        _NO_DUMP,
        (Place.OFFSET,),
    ),
    FaultKind(
        Group.DISK,
        "disk-write-error-once",
        "one write to this block of the dump disk fails (EIO)",
        Promise.SURVIVES,
        "sd repeats a command that was aborted up to 5 times (drivers/scsi/sd.h, SD_MAX_RETRIES)",
        (Place.OFFSET,),
    ),
    FaultKind(
        Group.DISK,
        "disk-read-error",
        "each read of this block of the dump disk fails (EIO)",
        Promise.REFUSED,
        "nothing that is needed can be guessed",
        (Place.OFFSET,),
    ),
    FaultKind(
        Group.DISK,
        "disk-no-space",
        "each write to this block of the dump disk fails: there is no space, as on a thin disk",
        Promise.REFUSED,
        _NO_DUMP,
        (Place.OFFSET,),
    ),
    FaultKind(
        Group.DISK,
        "disk-flush-error",
        "no flush of the dump disk succeeds (EIO)",
        Promise.REFUSED,
        "fsync fails before the first page is written",
    ),
    FaultKind(
        Group.DISK,
        "disk-read-only",
        "the dump disk is protected from writes",
        Promise.REFUSED,
        _NO_DUMP,
    ),
    FaultKind(
        Group.DISK,
        "disk-slow",
        "the dump disk is slow",
        Promise.SURVIVES,
        "sd waits 30 s for a command (drivers/scsi/sd.h, SD_TIMEOUT)",
        (Place.RATE,),
    ),
    FaultKind(
        Group.DISK,
        "disk-gone",
        "the dump disk is removed at this SDIAS request",
        Promise.REFUSED,
        _NO_DUMP,
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.DISK,
        "rot-boot-record",
        "the boot record of the dump disk is damaged before the load",
        Promise.REFUSED,
        _NOT_LOADED,
    ),
    FaultKind(
        Group.DISK,
        "rot-superblock",
        "the dump superblock is damaged before the load",
        Promise.REFUSED,
        "without a superblock nobody knows where the dump belongs",
    ),
    FaultKind(
        Group.DISK,
        "rot-kernel",
        "the middle of the dump kernel on the disk is damaged before the load",
        Promise.REFUSED,
        _NOT_LOADED,
    ),
    FaultKind(
        Group.DISK,
        "rot-ramdisk",
        "the middle of the ramdisk on the disk is damaged before the load",
        Promise.REFUSED,
        _NOT_LOADED,
    ),
    FaultKind(
        Group.DISK,
        "wrong-disk",
        "another disk, which is empty, answers to the dump disk's LUN",
        Promise.REFUSED,
        _NOT_LOADED,
    ),
)
POWER_CUT = FaultKind(
    Group.DISK,
    "power-cut",
    "the power is cut behind this write to the dump disk; what was not flushed is lost, or stored "
    "in part, as the seed says",
    Promise.HONEST,
    "the tool flushes the disk before it writes the first page, and again behind it",
    (Place.WRITE,),
    (Place.SEED,),
)
_DIES = "a dump whose first page is missing is none"
SYSTEM = (
    FaultKind(
        Group.SYSTEM,
        "system-oops",
        "the dump kernel runs into an address that is not mapped, at this SDIAS request",
        Promise.REFUSED,
        _DIES,
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.SYSTEM,
        "system-hang",
        "the dump kernel loops, disabled for interruptions, from this SDIAS request on",
        Promise.REFUSED,
        _DIES,
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.SYSTEM,
        "operator-stop",
        "the operator stops all CPUs at this SDIAS request, and does not start them again",
        Promise.REFUSED,
        _DIES,
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.SYSTEM,
        "operator-pause",
        "the operator stops all CPUs at this SDIAS request for 3 s",
        Promise.SURVIVES,
        "time does not go on for stopped CPUs",
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.SYSTEM,
        "operator-restart",
        "the operator restarts the PSW at this SDIAS request",
        Promise.REFUSED,
        "the kernel's action for a PSW restart is to stop (arch/s390/kernel/ipl.c, on_restart)",
        (Place.REQUEST,),
    ),
    FaultKind(
        Group.SYSTEM,
        "operator-reset",
        "the operator loads another system at this SDIAS request",
        Promise.REFUSED,
        _DIES,
        (Place.REQUEST,),
    ),
)
FAULTS: Mapping[str, FaultKind] = {
    kind.name: kind
    for kind in (*SDIAS, ASYNCHRONOUS, SCLP_BUSY, *HSA, *SIGP, *DISK, POWER_CUT, *SYSTEM)
}


def fault_of(text: str) -> Fault:
    """The fault that ``text`` asks for; raises ValueError, in words for the user."""
    return parse(text, FAULTS)


def promise_of(faults: tuple[Fault, ...]) -> Promise:
    """What a dump system promises when all of these happen: the least that one of them leaves."""
    order = list(Promise)
    return max((fault.kind.promise for fault in faults), key=order.index, default=order[0])
