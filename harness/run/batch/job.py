"""What a worker is to do, as it is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.run.options import NOTHING_SPECIAL, RunOptions
from harness.run.plan import Plan


@dataclass(frozen=True)
class RunJob:
    """What one worker is to do.

    ``output`` is the evidence directory, ``consoles`` whether console lines are wanted.
    """

    plan: Plan
    output: Path
    store: Path
    options: RunOptions = NOTHING_SPECIAL
    consoles: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_json(),
            "output": str(self.output.absolute()),
            "store": str(self.store.absolute()),
            "options": asdict(self.options),
            "consoles": self.consoles,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunJob:
        """The inverse of :meth:`to_json`, paths made absolute; raises EvidenceError."""
        plan = Plan.from_json(data["plan"], Path("job"))
        paths = {name: Path(data[name]) for name in ("output", "store")}
        options = RunOptions(**data["options"])
        return cls(**{**data, **paths, "plan": plan, "options": options})
