"""JSON output for people and programs; ``harness.files.json_file`` reads it."""

from __future__ import annotations

import json
from typing import Any


def to_text(document: Any) -> str:
    """A document as text that is safe on a terminal: ASCII, with each value on its own line."""
    # json escapes everything that is not ASCII, and all control characters except this one
    return json.dumps(document, indent=1, default=str).replace("\x7f", "\\u007f")
