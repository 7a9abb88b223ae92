"""What a worker is to do, as it is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.run.plan import Plan


@dataclass(frozen=True)
class RunJob:
    """What one worker is to do; the options are those of ``engine.run``.

    ``output`` is the evidence directory, ``consoles`` whether console lines are wanted.
    """

    plan: Plan
    output: Path
    store: Path
    keep: bool = False
    fresh: bool = False
    consoles: bool = False
    judges: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_json(),
            "output": str(self.output.absolute()),
            "store": str(self.store.absolute()),
            "keep": self.keep,
            "fresh": self.fresh,
            "consoles": self.consoles,
            "judges": self.judges,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunJob:
        """The inverse of :meth:`to_json`, paths made absolute; raises EvidenceError."""
        plan, output, store = (
            Plan.from_json(data["plan"], Path("job")),
            data["output"],
            data["store"],
        )
        return cls(**{**data, "plan": plan, "output": Path(output), "store": Path(store)})
