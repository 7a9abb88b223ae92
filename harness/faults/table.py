"""All kinds of faults.

The promises come from the dump system's code: Linux 6.12 ``drivers/s390/char/sclp_sdias.c``,
``zcore.c``, ``arch/s390/kernel/smp.c`` and ``crash_dump.c``. Whether a kernel keeps its promise is
what a run with a fault finds out; docs/faults.md has what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.fault import Fault, FaultKind, Place, Promise, parse

_ONCE_OR_MORE = (Place.COUNT,)
_REQUEST_OR_PAGE = (Place.REQUEST, Place.ADDRESS)


def _sdias(name: str, summary: str, promise: Promise, why: str) -> FaultKind:
    return FaultKind(name, summary, promise, why, _REQUEST_OR_PAGE, _ONCE_OR_MORE)


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
HSA = (
    FaultKind(
        "hsa-size-zero",
        "Read SCP Information tells of no HSA",
        Promise.REFUSED,
        "zcore_init ends with -ENODEV (check_sdias)",
    ),
    FaultKind(
        "hsa-told-smaller",
        "Read SCP Information tells of a smaller HSA than there is",
        Promise.SURVIVES,
        "the kernel keeps below the size that it is told; all above is still in memory",
        (Place.SIZE,),
    ),
    FaultKind(
        "hsa-told-larger",
        "Read SCP Information tells of a larger HSA than there is",
        Promise.REFUSED,
        "a block that the HSA does not have is refused, so its page cannot be read",
        (Place.SIZE,),
    ),
    FaultKind(
        "hsa-released-early",
        "the HSA is lost at this SDIAS request",
        Promise.REFUSED,
        _PAGE_IS_LOST,
        (Place.REQUEST,),
    ),
    FaultKind(
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
        "sigp-not-operational",
        "the CPU is not operational: condition code 3 for each order",
        Promise.PARTIAL,
        "smp_save_dump_secondary_cpus leaves out a CPU that SENSE does not find",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
    FaultKind(
        "sigp-check-stop",
        "the CPU is in the check-stop state: status X'10' for each order",
        Promise.PARTIAL,
        "no status is stored for the CPU, so the dump cannot have its registers",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
    FaultKind(
        "sigp-status-refused",
        "the CPU answers to SENSE, but not to store status: status X'200', incorrect state",
        Promise.PARTIAL,
        "no status is stored for the CPU, so the dump cannot have its registers",
        (Place.CPU,),
        (),
        *_NO_CPU,
    ),
)
FAULTS: Mapping[str, FaultKind] = {kind.name: kind for kind in (*SDIAS, *HSA, *SIGP)}


def fault_of(text: str) -> Fault:
    """The fault that ``text`` asks for; raises ValueError, in words for the user."""
    return parse(text, FAULTS)


def promise_of(faults: tuple[Fault, ...]) -> Promise:
    """What a dump system promises when all of these happen: the least that one of them leaves."""
    order = list(Promise)
    return max((fault.kind.promise for fault in faults), key=order.index, default=order[0])
