"""A dump tool: the only program that the dump system runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from harness.dump_tools.destination import Destination
from harness.errors import UsageError
from harness.s390x.disk_layout import DiskLayout


class Parameters(NamedTuple):
    """Parameters for a tool, by the place where it reads them."""

    parmline: str = ""
    ramdisk: str = ""  # in a file of the ramdisk


@dataclass(frozen=True)
class Need:
    """An option (without ``CONFIG_``) that a dump tool needs built into the kernel, and why.

    One of ``instead`` is as good. Without an option that is not ``essential`` a dump is written,
    but something is lost.
    """

    option: str
    why: str
    instead: tuple[str, ...] = ()
    essential: bool = True


class End(StrEnum):
    """How a machine ends whose dump tool is done."""

    POWER_OFF = "power-off"
    RE_IPL = "re-ipl"
    DISABLED_WAIT = "disabled-wait"


class Said(StrEnum):
    """What a tool's result line says."""

    COMPLETE = "complete"
    FAILED = "failed"


ORDERLY = frozenset({End.POWER_OFF, End.RE_IPL})


@dataclass(frozen=True)
class DumpTool:
    """One dump tool.

    Its ramdisk is made from ``lists`` (below ``images/``, or absolute paths), unless the user gives
    one. If the dump goes to a file, ``lists_for_files`` are added. If the tool ``takes_program``,
    the lists name a program that the user gives, ``${PROGRAM}``. The tool reads its parameters from
    the file ``parameters_file`` of the ramdisk, and from the parmline; "" if only from the
    parmline. A parameter of the tool itself begins with ``own_parameters``; all others are the
    kernel's. ``limit`` reads from the parameters how many bytes of memory the tool dumps, None if
    all. ``destination`` reads from them where it writes a file. ``partition_parameter`` begins the
    one that names the partition; "" if there is none.

    ``formats`` maps each format that the tool writes, by zgetdump's name, to the parameters that
    request it; "" is the default format. It can write to ``layouts``.

    A console line that ``success`` or ``failure`` is found in reports the result: the dump is
    complete, or it is not. Both are None for a tool that does not tell. When the tool is done, the
    machine ends in one of the ways ``ends``. ``memory`` and ``rate`` find numbers on the console
    (group 1; MB of 10^6 bytes, MB/s): the memory that the tool had, and its speed. ``progress``
    matches the start of a line that tells how much is dumped. ``released_early`` matches a result
    that tells at what address (group 1) it could not read memory although, or because, it had
    released the HSA. All of these are None for a tool that does not print them.

    ``needs`` is what the tool needs of the kernel, beside what makes it a dump kernel.
    """

    name: str
    lists: tuple[str, ...]
    formats: Mapping[str, str]
    success: re.Pattern[str] | None = None
    failure: re.Pattern[str] | None = None
    ends: frozenset[End] = ORDERLY
    layouts: frozenset[DiskLayout] = frozenset(DiskLayout)
    lists_for_files: tuple[str, ...] = ()
    takes_program: bool = False
    parameters_file: str = ""
    own_parameters: str = ""
    limit: Callable[[str], int | None] = lambda _: None
    destination: Callable[[str], Destination] = lambda _: Destination()
    partition_parameter: str = ""
    memory: re.Pattern[str] | None = None
    rate: re.Pattern[str] | None = None
    progress: re.Pattern[str] | None = None
    released_early: re.Pattern[str] | None = None
    needs: tuple[Need, ...] = ()

    @property
    def reports(self) -> bool:
        """Whether the tool tells on the console that a dump is complete."""
        return self.success is not None

    def ramdisk_lists(self, layout: DiskLayout) -> tuple[str, ...]:
        """The lists for a ramdisk that dumps to ``layout``."""
        return self.lists + (self.lists_for_files if layout.is_file_system else ())

    def parameters(self, form: str, layout: DiskLayout, parmline: str = "") -> Parameters:
        """The parameters for format ``form``, and those of ``parmline``.

        ``zipl -d`` writes a parmline of its own, so for a partition the tool's own ones go into the
        ramdisk. Raises UsageError if the tool does not write that format, or not to ``layout``.
        """
        if layout not in self.layouts:
            raise UsageError(
                f"the dump tool {self.name} writes no dump to layout {layout}",
                hint=f"it writes to: {', '.join(sorted(self.layouts))}",
            )
        if form not in self.formats:
            raise UsageError(
                f"the dump tool {self.name} writes no {form} dump",
                hint=f"it writes: {', '.join(self.formats)}",
            )
        told = self.formats[form]
        if layout.is_file_system:
            return Parameters(parmline=_joined(told, parmline))
        if told and not self.parameters_file:
            raise UsageError(
                f"the dump tool {self.name} cannot be asked for a {form} dump on a partition",
                hint="choose a file system layout, such as --disk-layout ext4",
            )
        own, others = self._split(parmline)
        return Parameters(parmline=others, ramdisk=_joined(told, own))

    def _split(self, parmline: str) -> tuple[str, str]:
        """The tool's own parameters, if it reads any from its ramdisk, and the others."""
        if not self.parameters_file or not self.own_parameters:
            return "", parmline
        words = parmline.split()
        own = [word for word in words if word.startswith(self.own_parameters)]
        return " ".join(own), " ".join(word for word in words if word not in own)

    def result(self, line: str) -> Said | None:
        """What a console line, without time and line end, says of the result, if anything.

        Of several such lines the last one counts.
        """
        if self.success is not None and self.success.search(line):
            return Said.COMPLETE
        if self.failure is not None and self.failure.search(line):
            return Said.FAILED
        return None

    def is_progress(self, line: str) -> bool:
        """Whether a line tells how much is dumped: such lines differ between any two dumps."""
        return self.progress is not None and self.progress.match(line) is not None


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))
