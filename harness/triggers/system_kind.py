"""The kinds of systems that can be crashed."""

from __future__ import annotations

from enum import Enum


class SystemKind(Enum):
    """What a trigger or a workload finds in the system."""

    MINIMAL = "minimal"  # busybox, as init's shell on the console
    FULL = "full"  # systemd, coreutils and Python; root over SSH


MINIMAL = frozenset({SystemKind.MINIMAL})
FULL = frozenset({SystemKind.FULL})
EVERYWHERE = frozenset(SystemKind)
