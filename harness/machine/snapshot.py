"""A crash, frozen: memory, every CPU's registers, what the console said. Never changed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState

RAM, CPUS, MACHINE, CONSOLE, ARGV = (
    "ram.img",
    "cpus.json",
    "machine.json",
    "console.log",
    "qemu-argv.json",
)
SYSTEM_IMAGE = "system.img"  # the system's own disk, if it was loaded from one


@dataclass(frozen=True)
class Snapshot:
    """``memory`` in bytes; ``cpus`` by CPU address, CPU 0 being the one that will be IPLed."""

    directory: Path
    memory: int
    cpus: tuple[CpuState, ...]
    machine: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def ram_image(self) -> Path:
        return self.directory / RAM

    @property
    def created(self) -> str:
        """ISO 8601, UTC."""
        return str(self.machine["created"])

    @property
    def trigger(self) -> str:
        return str(self.machine["trigger"])

    @property
    def boot_seconds(self) -> float | None:
        """What the boot took: a measure of the host for time limits."""
        return self.machine.get("boot_seconds")

    @property
    def dump_block(self) -> bytes | None:
        """The IPL parameter block with which the system itself asked for its dump."""
        block = self.machine.get("dump_block")
        return None if block is None else bytes.fromhex(block)

    @property
    def system_disk(self) -> Path | None:
        """The system's own disk as the crash left it."""
        path = self.directory / SYSTEM_IMAGE
        return path if path.exists() else None

    @property
    def console(self) -> str:
        """All that the system printed, with time stamps."""
        return (self.directory / CONSOLE).read_text(encoding="utf-8", errors="replace")

    @classmethod
    def create(
        cls, directory: Path, cpus: tuple[CpuState, ...], machine: Mapping[str, Any]
    ) -> Snapshot:
        """Describe the crash whose ``ram.img`` already stands in ``directory``."""
        states = {"cpus": [cpu.to_json() for cpu in cpus]}
        (directory / CPUS).write_text(json.dumps(states, indent=1) + "\n")
        (directory / MACHINE).write_text(json.dumps(machine, indent=1) + "\n")
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path) -> Snapshot:
        """Raises EvidenceError, naming the file, if anything is missing or does not fit."""
        machine = _load(directory / MACHINE)
        states = _load(directory / CPUS)
        try:
            memory = int(machine["memory"])
            cpus = tuple(CpuState.from_json(state) for state in states["cpus"])
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError(f"{directory}: not a crash snapshot: {error!r}") from error
        ram = directory / RAM
        if not ram.is_file():
            raise EvidenceError(f"{ram}: missing, so there is no memory to compare with")
        if ram.stat().st_size != memory:
            raise EvidenceError(f"{ram}: {ram.stat().st_size} bytes, but the machine had {memory}")
        if not cpus:
            raise EvidenceError(f"{directory / CPUS}: holds no CPU")
        return cls(directory, memory, cpus, machine)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise EvidenceError(f"{path}: not JSON: {error}") from error
