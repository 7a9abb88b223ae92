"""What people write to choose a zipl: a suite of Debian, or a path."""

from __future__ import annotations

import re

from harness.errors import UsageError

_SUITE = re.compile(r"[a-z][a-z0-9.-]{0,40}")
KNOWN_SUITES = ("bookworm", "trixie", "sid")  # whose zipl the project's scenarios use
EXAMPLES = "write a Debian suite, such as trixie, or a path with a slash, such as ./s390-tools"


def is_path(choice: str) -> bool:
    """Whether a path is meant, which has a slash, and not a suite."""
    return "/" in choice


def require_choice(choice: str) -> str:
    """Raises UsageError for what can be neither."""
    if not is_path(choice) and _SUITE.fullmatch(choice) is None:
        raise UsageError(f"'{choice}' is neither a suite nor a path", hint=EXAMPLES)
    return choice
