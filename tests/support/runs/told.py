"""What two runs must have in common if they dump the same crash on the same machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.files import sparse

DIFFERENT = {"seconds", "intercepted_by", "result_line"}  # the line has seconds, too
# Linux prints some lines when it finds the time, and all with the time and random addresses
CONSOLE = "console"


def told(evidence: Path) -> dict[str, Any]:
    """What was observed, the result of each check, and the digest of the dump."""
    outcome = _read(evidence / "dump/outcome.json")
    checks = {
        each["check"]: (
            each["passed"],
            each["skipped"],
            [found["kind"] for found in each["findings"]]
            if each["check"] == CONSOLE
            else each["findings"],
            None if each["check"] == CONSOLE else each["compared"],
        )
        for each in _read(evidence / "verdict.json", evidence)["checks"]
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


def _read(path: Path, evidence: Path | None = None) -> dict[str, Any]:
    """A file of JSON; the place of the ``evidence``, which messages name, left out."""
    text = path.read_text()
    if evidence is not None:
        text = text.replace(str(evidence), "EVIDENCE")
    content: dict[str, Any] = json.loads(text)
    return content
