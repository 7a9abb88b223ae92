"""The firmware of one load: all functions that a loaded system can call.

The machine gets its firmware as an argument, so a test can pass faulty firmware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.firmware.diag308 import Diag308
from harness.firmware.faults import FirmwareFaults
from harness.firmware.hsa import Hsa
from harness.firmware.service_call import ServiceCalls
from harness.firmware.signal_processor import StoppedCpus
from harness.firmware.storage import AbsoluteStorage
from harness.s390x.cpu import CpuState

IPL_CPU = 0


@dataclass(frozen=True)
class Firmware:
    """An ordinary load: DIAGNOSE X'308', and corrected answers to service calls."""

    diag308: Diag308
    calls: ServiceCalls


@dataclass(frozen=True)
class DumpFirmware(Firmware):
    """A SCSI dump load: it also has an HSA and ``others``, the stopped CPUs."""

    hsa: Hsa
    others: StoppedCpus


def ordinary_load(storage: AbsoluteStorage, ipl_block: bytes) -> Firmware:
    """Faultless firmware of a system that was loaded as ``ipl_block`` says."""
    return Firmware(Diag308(storage, ipl_block), ServiceCalls(storage))


def dump_load(
    storage: AbsoluteStorage,
    ipl_block: bytes,
    saved: AbsoluteStorage,
    cpus: Sequence[CpuState],
    hsa_size: int,
    faults: FirmwareFaults | None = None,
) -> DumpFirmware:
    """Firmware of a dump system that was loaded as ``ipl_block`` says.

    ``faults`` are what it does wrong.

    ``saved`` and ``cpus`` (by CPU address) belong to the crashed system. Raises ValueError if an
    HSA of ``hsa_size`` bytes does not fit ``saved``.
    """
    hsa = Hsa(saved, hsa_size, cpus[IPL_CPU])
    return DumpFirmware(
        Diag308(storage, ipl_block, hsa),
        ServiceCalls(storage, hsa, faults),
        hsa,
        StoppedCpus(storage, cpus, IPL_CPU, faults),
    )
