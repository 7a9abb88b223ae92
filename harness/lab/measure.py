"""Measure what a configuration costs: dump with HSAs of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.lab.trial import Laboratory, Trial
from harness.scenario.sizes import format_size

MIB = 1 << 20
HSA_SIZES = (32 * MIB, 64 * MIB, 512 * MIB)
# more than the largest HSA, so that some of the memory is never in the HSA
MEMORY = 576 * MIB
_MEMORY = f"the crashed system's memory of {format_size(MEMORY)}"


def measure(
    laboratory: Laboratory, kernel: Path, sizes: Sequence[int] = HSA_SIZES, label: str = "kernel"
) -> list[Trial]:
    """Dump one crash with each size of the HSA, smallest first; raises UsageError."""
    if max(sizes) >= MEMORY:
        raise UsageError(f"an HSA of {format_size(max(sizes))} leaves nothing of {_MEMORY}")
    crash = laboratory.crash(MEMORY)
    return [laboratory.trial(crash, kernel, size, label) for size in sizes]
