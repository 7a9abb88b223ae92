"""What two runs must have in common if they dump the same crash on the same machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.files import sparse

DIFFERENT = {"seconds", "intercepted_by", "result_line"}  # the line has seconds, too
COUNTED_LINES = "console"  # Linux prints some when it finds the time


def told(evidence: Path) -> dict[str, Any]:
    """What was observed, the result of each check, and the digest of the dump."""
    outcome = _read(evidence / "dump/outcome.json")
    checks = {
        each["check"]: (
            each["passed"],
            each["skipped"],
            each["findings"],
            None if each["check"] == COUNTED_LINES else each["compared"],
        )
        for each in _read(evidence / "verdict.json")["checks"]
    }
    dump = evidence / "dump/dump"
    return {
        "outcome": {name: value for name, value in outcome.items() if name not in DIFFERENT},
        "checks": checks,
        "dump": sparse.digest(dump) if dump.is_file() else None,
    }


def way(evidence: Path) -> str:
    """How the machine was intercepted at service signals."""
    return str(_read(evidence / "dump/outcome.json")["intercepted_by"])


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content
