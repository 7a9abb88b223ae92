"""held.json: a machine that is kept for a person, and how to reach it."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.files.json_file import as_model, read_object
from harness.files.plain_file import is_there


class System(StrEnum):
    """Who was on a machine that is kept."""

    CRASHED = "crashed system"
    DUMP = "dump system"


class When(StrEnum):
    """At which moment of a run a machine is kept.

    ``STALL``: when the dump system hangs. ``FAIL``: when it ends in any other way than with a
    complete dump. ``CRASH``: when the system has crashed. ``END``: when the dump system has ended,
    however it did.
    """

    STALL = "stall"
    FAIL = "fail"
    CRASH = "crash"
    END = "end"


# an absolute path, and nothing that a debugger would take for more
_SOCKET = r"^/[A-Za-z0-9_./+-]{1,107}$"


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    pid: int = Field(gt=0)
    system: System = Field(strict=False)
    why: str
    control: str = Field(pattern=_SOCKET)
    gdb: str = Field(pattern=_SOCKET)
    kernel_offset: int = Field(ge=0, lt=1 << 64)


@dataclass(frozen=True)
class Held:
    """A machine that stands still. ``system`` is who was on it, ``why`` it is kept.

    ``pid`` is the process that keeps it. ``control`` and ``gdb`` are UNIX sockets: the keeper's own
    (see ``harness.machine.hold``), and that of QEMU's gdbstub. ``kernel_offset``: how far the
    kernel lies from where its vmlinux says (KERNELOFFSET in VMCOREINFO).
    """

    pid: int
    system: System
    why: str
    control: str
    gdb: str
    kernel_offset: int = 0

    def save(self, directory: RunDirectory) -> None:
        directory.write_json(directory.held, asdict(self))

    @classmethod
    def load(cls, evidence: Path) -> Held:
        """The machine that the run in ``evidence`` keeps; UsageError if it keeps none."""
        path = RunDirectory(evidence).held
        if not is_there(path):
            raise UsageError(
                f"{evidence}: no machine of this run is kept",
                hint="start it with --hold stall, fail, crash or end, and use another terminal",
            )
        held = cls(**as_model(_File, read_object(path), path).model_dump())
        for socket in (held.control, held.gdb):
            if not _is_ours(Path(socket)):
                raise UsageError(
                    f"{evidence}: {socket} is no socket of yours: the process {held.pid}, which "
                    "kept the machine, has ended, or is another user's",
                    hint=f"if it has ended, remove {path}, and run it again with --hold",
                )
        return held


def _is_ours(path: Path) -> bool:
    """Whether it is a socket that this user has made: evidence may come from anybody."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()
