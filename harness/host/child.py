"""Child processes that end when the harness ends."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HostError


def dying_with_us(argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` in a process that the kernel kills when its parent ends.

    This works however the parent ends (prctl(2), PR_SET_PDEATHSIG). The parent is the *thread*
    that starts the command, so start it from one that lives long enough.
    Raises HostError if setpriv is missing.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise HostError("setpriv is not installed", hint="apt-get install util-linux")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv]


def our_module(name: str) -> list[str]:
    """The command that runs a module of this package, whatever is in the working directory."""
    # -m makes Python look into the working directory first, unless we were started without it
    looked_there = bool({"", str(Path.cwd())} & set(sys.path))
    return [sys.executable, *([] if looked_there else ["-P"]), "-m", name]
