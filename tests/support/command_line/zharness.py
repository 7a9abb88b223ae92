"""Run ``zharness`` to its end, like a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RUN_SECONDS = 900

Zharness = Callable[..., "Ran"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def zharness(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The environment, with room for long lines unless ``COLUMNS`` is given."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


@dataclass(frozen=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def findings(self) -> dict[str, list[str]]:
        """Of a run: check -> the messages of its findings, where there are any."""
        return {
            check["check"]: [finding["message"] for finding in check["findings"]]
            for check in self.json["checks"]
            if check["findings"]
        }
