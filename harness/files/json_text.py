"""JSON written for people and programs alike; what reads it is ``harness.files.json_file``."""

from __future__ import annotations

import json
from typing import Any


def to_text(document: Any) -> str:
    """A document as text that a terminal shows as it is: plain ASCII, on lines of its own."""
    # json escapes all that is not ASCII and all control characters but this one
    return json.dumps(document, indent=1, default=str).replace("\x7f", "\\u007f")
