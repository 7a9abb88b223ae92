"""Compare two dump kernels."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.lab.measure import measure
from harness.lab.trial import Laboratory, Trial


@dataclass(frozen=True)
class Pair:
    """The same crash, dumped with each kernel with an HSA of one size."""

    first: Trial
    second: Trial

    @property
    def phases(self) -> list[str]:
        """Every phase of either run, in order."""
        return list(dict.fromkeys([*self.first.seconds, *self.second.seconds]))

    @property
    def console_difference(self) -> list[str]:
        """Lines that only one dump system printed: ``- line`` the first, ``+ line`` the second."""
        lines = difflib.unified_diff(self.first.said, self.second.said, lineterm="", n=0)
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    def to_json(self) -> dict[str, Any]:
        return {
            "hsa_size": self.first.hsa_size,
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "console_difference": self.console_difference,
        }


def compare(laboratory: Laboratory, kernels: tuple[Path, Path], sizes: Sequence[int]) -> list[Pair]:
    """One pair for each size of the HSA."""
    first, second = (
        measure(laboratory, kernel, sizes, label)
        for kernel, label in zip(kernels, ("first", "second"), strict=True)
    )
    return [Pair(*both) for both in zip(first, second, strict=True)]
