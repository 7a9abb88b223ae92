"""Run a script of ours in a full system."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.host.paths import data_dir
from harness.machine.system.shell import Shell
from harness.printable import printable

_SHOWN = 200  # characters of a report that cannot be read

_Told = TypeVar("_Told")


def ask(
    shell: Shell,
    name: str,
    parse: Callable[[str], _Told],
    deadline: Deadline,
    arguments: str = "",
) -> _Told:
    """Put images/system/``name`` into the system, run it, and ``parse`` what it prints.

    Raises what ``Shell.put`` and ``Shell.run`` raise; ProtocolError if ``parse`` raises ValueError.
    """
    there = f"/root/zharness-{name}"
    shell.put(data_dir() / "images/system" / name, there, deadline)
    report = shell.run(f"sh {there} {arguments}".rstrip(), deadline)
    try:
        return parse(report)
    except ValueError as error:
        said = printable(report.strip(), limit=_SHOWN) or "nothing"
        raise ProtocolError(f"the system's answer to images/system/{name} is: {said}") from error
