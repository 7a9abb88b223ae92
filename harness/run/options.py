"""What can be asked of every run, be it alone, in a worker or in a batch that is resumed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evidence.held import When


@dataclass(frozen=True)
class RunOptions:
    """The options of ``engine.run`` that have the same names there.

    A batch that is resumed must have the same ones. ``hold`` is for a run alone.
    """

    keep: bool = False
    fresh: bool = False
    judges: bool = False
    hold: When | None = None


NOTHING_SPECIAL = RunOptions()
