"""A frozen system: its files, and what they depend on.

::

    ram.img           guest memory, sparse
    state             QEMU's device state, without memory
    frozen.json       registers as QEMU shows them; what the firmware remembers
    system.img        the system's own disk, if it was loaded from one
    console.log       what the system printed until then
    qemu-argv.json    the QEMU that was frozen
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.evidence.names import CONSOLE, RAM, SYSTEM_IMAGE
from harness.files import sparse
from harness.files.json_file import as_model, read_object
from harness.files.json_text import to_text
from harness.machine.system.boot import machine_of
from harness.machine.system.bootable import Bootable
from harness.machine.system.session import PlayedState
from harness.qemu.binary import QemuBinary
from harness.qemu.spec import Endpoints, qemu_argv
from harness.s390x.instructions import Opcode

STATE, FACTS = "state", "frozen.json"
FORMAT = 1  # version of these files and of the way they are made; part of what they depend on
_NO_FILES = Endpoints(0, 0, 0)  # numbers of files are different in every run
_NOWHERE = Path()  # where the copy of the disk is, does not count


def depends_on(system: Bootable, binary: QemuBinary) -> dict[str, Any]:
    """Everything that determines a booted system, as JSON: content, never paths or names.

    The whole command line is in it: QEMU loads a state only into the machine that it is of.
    """
    spec = machine_of(system, _NOWHERE)
    disks = (replace(disk, path=_digest(disk.path)) for disk in system.spec.disks)
    own = spec.disks[: len(spec.disks) - len(system.spec.disks)]
    spec = replace(
        spec,
        kernel=spec.kernel and _digest(spec.kernel),
        initrd=spec.initrd and _digest(spec.initrd),
        disks=(*own, *disks),
    )
    return {
        "format": FORMAT,
        "qemu": binary.identity(),
        "options": qemu_argv(binary, spec, _NO_FILES)[1:],
        "system disk": system.system_disk and str(_digest(system.system_disk)),
        "ipl block": system.ipl_block and system.ipl_block.hex(),
    }


_Address = Annotated[str, Field(pattern="^[0-9a-f]{1,16}$")]
_OpcodeName = Annotated[str, Field(pattern=f"^({'|'.join(Opcode.__members__)})$")]


class _Played(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    ipl_block: str = Field(pattern="^([0-9a-f]{2})*$")
    sites: dict[_Address, _OpcodeName]


class _Facts(BaseModel):
    """The shape of ``frozen.json``."""

    model_config = ConfigDict(strict=True, extra="forbid")

    registers: list[str]
    played: _Played | None


@dataclass(frozen=True)
class Frozen:
    """A frozen system in ``directory``, whose files never change."""

    directory: Path
    system: Bootable

    @property
    def ram_image(self) -> Path:
        return self.directory / RAM

    @property
    def system_disk(self) -> Path | None:
        """The system's own disk at that moment."""
        path = self.directory / SYSTEM_IMAGE
        return path if path.exists() else None

    @property
    def state(self) -> bytes:
        return (self.directory / STATE).read_bytes()

    @property
    def console(self) -> bytes:
        return (self.directory / CONSOLE).read_bytes()

    def facts(self) -> tuple[tuple[str, ...], PlayedState | None]:
        """Registers of each CPU, and what the firmware remembers; raises EvidenceError."""
        path = self.directory / FACTS
        facts = as_model(_Facts, read_object(path), path)
        played = None if facts.played is None else _played(facts.played)
        return tuple(facts.registers), played


def write_facts(directory: Path, registers: tuple[str, ...], played: PlayedState | None) -> None:
    """What ``Frozen.facts`` reads."""
    facts = {"registers": list(registers), "played": None if played is None else _to_json(played)}
    (directory / FACTS).write_text(to_text(facts) + "\n")


def _to_json(played: PlayedState) -> Mapping[str, Any]:
    sites = {f"{address:x}": opcode.name for address, opcode in played.sites.items()}
    return {"ipl_block": played.ipl_block.hex(), "sites": sites}


def _played(told: _Played) -> PlayedState:
    sites = {int(address, 16): Opcode[name] for address, name in told.sites.items()}
    return PlayedState(bytes.fromhex(told.ipl_block), sites)


def _digest(path: Path) -> Path:
    """In place of a file's path."""
    return Path(sparse.digest(path))
