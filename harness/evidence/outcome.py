"""How a dump system ended, as observed; ``harness.verify`` checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from harness.evidence.condition import Condition
from harness.evidence.own_dump import OwnDump


class Outcome(StrEnum):
    """``STALLED``: neither console nor SCLP was used for so long that the system must hang.

    ``OUT_OF_TIME``: the system still worked, or seemed to, when the phase's deadline passed.
    """

    FINISHED = "finished"
    FAILED = "failed"
    ENDED_SILENTLY = "ended-silently"  # powered off or re-IPLed without a result line
    ENDED_OTHERWISE = "ended-otherwise"  # powered off or re-IPLed, which its tool never does
    PANICKED = "panicked"
    STALLED = "stalled"
    OUT_OF_TIME = "out-of-time"
    STOPPED = "stopped"  # by the operator, for good
    RESET = "reset"  # by the operator, in its midst
    POWER_CUT = "power-cut"
    NOT_LOADED = "not-loaded"  # the boot firmware did not load it from the disk


@dataclass(frozen=True)
class DumpOutcome:
    """One dump IPL. ``hsa_size`` in bytes; ``status_stored`` are CPU addresses.

    ``refused_after_release`` counts SDIAS requests for an HSA that had been released,
    ``sdias_outside`` those for blocks that it did not have, of which ``sdias_outside_block`` was
    the first. ``sdias_not_accepted`` counts those that the machine was too busy for,
    ``sdias_given_up`` those of them that were not repeated. ``faults`` are what went wrong on
    purpose, and how often.
    ``old_memory_restored`` counts the pages that the boot firmware had overwritten.
    ``reipl_block`` is the IPL parameter block (hexadecimal) with which the dump system requested
    another load. ``seconds`` is the time from the kernel entry to the end of the dump system.
    ``limits`` names what was not played or not kept because a limit was reached. ``other_disks``
    are LUNs of disks beside the dump disk, ``other_disks_changed`` of those that are not as before.
    ``intercepted_by`` is what let the harness answer at service signals (``harness.machine``).
    """

    outcome: Outcome
    result_line: str | None
    layout: str
    hsa_size: int
    hsa_released: bool
    sdias_requests: int
    refused_after_release: int
    status_stored: tuple[int, ...]
    old_memory_restored: int
    reipl_block: str | None
    seconds: float
    limits: tuple[str, ...] = ()
    sdias_outside: int = 0
    sdias_outside_block: int | None = None
    sdias_not_accepted: int = 0
    sdias_given_up: int = 0
    other_disks: tuple[int, ...] = ()
    other_disks_changed: tuple[int, ...] = ()
    faults: Mapping[str, int] = field(default_factory=dict)
    intercepted_by: str = "gdbstub"

    @classmethod
    def not_loaded(cls, why: str, layout: str, hsa_size: int) -> Self:
        """No dump system was there, and ``why``."""
        return cls(
            outcome=Outcome.NOT_LOADED,
            result_line=why,
            layout=layout,
            hsa_size=hsa_size,
            hsa_released=False,
            sdias_requests=0,
            refused_after_release=0,
            status_stored=(),
            old_memory_restored=0,
            reipl_block=None,
            seconds=0.0,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ReIplOutcome:
    """``named`` is what the IPL parameter block says; ``loaded`` whether there is such a disk.

    ``condition`` is how a full system then was, ``own_dump`` what it told of the dump that it was
    asked to collect.
    """

    named: str
    loaded: bool
    condition: Condition | None = None
    own_dump: OwnDump | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"condition": self.condition, "own_dump": self.own_dump}
        return {
            "named": self.named,
            "loaded": self.loaded,
            **{name: part.model_dump() for name, part in told.items() if part is not None},
        }
