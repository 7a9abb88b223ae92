"""Child processes that do not outlive us."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

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
