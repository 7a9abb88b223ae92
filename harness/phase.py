"""The phases of a run, by the names that its files use."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """In the order in which a run enters them; their limits are in ``harness.run.phases``."""

    IMAGES = "images"
    BOOT = "boot"
    CRASH = "crash"
    SNAPSHOT = "snapshot"
    IPL = "ipl"
    DUMP = "dump"
    COLLECT = "collect"
    REIPL = "reipl"
    VERIFY = "verify"
    JUDGE = "judge"
