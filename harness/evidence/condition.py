"""How a full system is: asked just before it is crashed, and again after its re-IPL."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

MAX_BOOTS = 1 << 10
MAX_UNITS = 1 << 8
MAX_LINES = 1 << 8

BootId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Line = Annotated[str, Field(max_length=1024)]
Unit = Annotated[str, Field(min_length=1, max_length=256)]

_LINE = re.compile(r"(boot|journal|state|failed|root|kernel|count|action) (\S.*)")


class Condition(BaseModel):
    """What images/system/condition tells.

    ``boot`` is the kernel's id of this boot (/proc/sys/kernel/random/boot_id), ``journal`` those
    of all boots that the journal knows, oldest first. ``state`` is what ``systemctl
    is-system-running`` says, ``failed`` the units that failed. ``actions`` are lines ``EVENT
    ACTION`` of /sys/firmware/shutdown_actions. ``root`` is the mount options of the
    root file system, ``kernel`` what the kernel has said of file systems. ``count`` is how often
    the script has run, from a file that was written to the disk at once.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    boot: BootId
    journal: Annotated[tuple[BootId, ...], Field(max_length=MAX_BOOTS, strict=False)] = ()
    state: Unit = "unknown"
    failed: Annotated[tuple[Unit, ...], Field(max_length=MAX_UNITS, strict=False)] = ()
    actions: Annotated[tuple[Line, ...], Field(max_length=MAX_UNITS, strict=False)] = ()
    root: Line = ""
    kernel: Annotated[tuple[Line, ...], Field(max_length=MAX_LINES, strict=False)] = ()
    count: Annotated[int, Field(ge=0, lt=1 << 64)]

    @classmethod
    def parse(cls, report: str) -> Self:
        """Read what the script printed; raises pydantic's ValidationError, a ValueError."""
        found: dict[str, list[str]] = {}
        for line in report.splitlines():
            if match := _LINE.fullmatch(line.rstrip()):
                found.setdefault(match[1], []).append(match[2])
        several: dict[str, object] = {
            name: tuple(found.get(name, ())) for name in ("journal", "failed", "kernel")
        }
        several["actions"] = tuple(found.get("action", ()))
        one: dict[str, object] = {
            name: found[name][-1] for name in ("boot", "state", "root") if name in found
        }
        count = found.get("count", [""])[-1]
        if re.fullmatch("[0-9]{1,20}", count):
            one["count"] = int(count)
        return cls.model_validate(several | one)
