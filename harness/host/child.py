"""Child processes that do not outlive us."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HostError


def dying_with_us(argv: Sequence[str]) -> list[str]:
    """The command that runs ``argv`` in a process which is killed when its parent ends.

    Whatever ends the parent: the kernel does it (prctl(2), PR_SET_PDEATHSIG). What counts as the
    parent is the *thread* that starts the command, so start it from one that lives long enough.
    Raises HostError without the tool for it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise HostError("setpriv is not installed", hint="apt-get install util-linux")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv]


def our_module(name: str) -> list[str]:
    """The command that runs a module of this very package, whatever the working directory holds."""
    # -m makes Python look into the working directory first; right only if we did so ourselves
    looked_there = bool({"", str(Path.cwd())} & set(sys.path))
    return [sys.executable, *([] if looked_there else ["-P"]), "-m", name]
