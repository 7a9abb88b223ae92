"""A crash, frozen: memory, every CPU's registers, what the console said. Never changed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import sparse
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
DIGESTS = "digests.json"
IMAGES = (RAM, SYSTEM_IMAGE)  # too large to be read whenever a snapshot is opened

FORMAT = 2  # of the files of a snapshot and of what they say; part of a stored crash's name


@dataclass(frozen=True)
class Snapshot:
    """``memory`` in bytes; ``cpus`` by CPU address, CPU 0 being the one that will be IPLed.

    ``digests`` has ``size`` and ``digest`` (see ``sparse.digest``) of each file by its name.
    """

    directory: Path
    memory: int
    cpus: tuple[CpuState, ...]
    machine: Mapping[str, Any]
    digests: Mapping[str, Mapping[str, Any]]

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
    def limits(self) -> tuple[str, ...]:
        """What of the system's doings was not kept, because there was too much of it."""
        return tuple(f"crashed system: {what}" for what in self.machine.get("limits", ()))

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
        """Describe the crash whose ``ram.img`` and other files already stand in ``directory``."""
        machine = {"format": FORMAT, **machine}
        states = {"cpus": [cpu.to_json() for cpu in cpus]}
        (directory / CPUS).write_text(json.dumps(states, indent=1) + "\n")
        (directory / MACHINE).write_text(json.dumps(machine, indent=1) + "\n")
        digests = {
            file.name: {"size": file.stat().st_size, "digest": sparse.digest(file)}
            for file in sorted(directory.iterdir())
            if file.name != DIGESTS
        }
        (directory / DIGESTS).write_text(json.dumps(digests, indent=1) + "\n")
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path) -> Snapshot:
        """Raises EvidenceError, naming the file, if anything is missing or does not fit.

        Sizes are looked at and small files read; :meth:`check_images` reads the others.
        """
        machine = _load(directory / MACHINE)
        try:
            found = machine.get("format")
        except AttributeError:
            raise EvidenceError(f"{directory / MACHINE}: describes no machine") from None
        if found != FORMAT:
            raise EvidenceError(
                f"{directory}: a crash snapshot of format {found or 1}, not {FORMAT}",
                hint="crash the system again",
            )
        digests = _load(directory / DIGESTS)
        _check_small(directory, digests)
        states = _load(directory / CPUS)
        try:
            memory = int(machine["memory"])
            cpus = tuple(CpuState.from_json(state) for state in states["cpus"])
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError(f"{directory}: not a crash snapshot: {error!r}") from error
        ram = directory / RAM
        if ram.stat().st_size != memory:
            raise EvidenceError(f"{ram}: {ram.stat().st_size} bytes, but the machine had {memory}")
        if not cpus:
            raise EvidenceError(f"{directory / CPUS}: holds no CPU")
        return cls(directory, memory, cpus, machine, digests)

    def check_images(self) -> None:
        """Raises EvidenceError naming the first large file that is not what was saved.

        This reads all data in them: as much as a dump of the crash does anyway.
        """
        for name in filter(self.digests.__contains__, IMAGES):
            _check(self.directory / name, self.digests[name])


def _check_small(directory: Path, digests: Any) -> None:
    """Sizes of all files, content of the small ones."""
    try:
        for name in (RAM, CPUS, MACHINE, *digests):
            path, size = directory / name, int(digests[name]["size"])
            if path.stat().st_size != size:
                raise EvidenceError(f"{path}: {path.stat().st_size} bytes; {size} were saved")
            if name not in IMAGES:
                _check(path, digests[name])
    except OSError as error:
        raise EvidenceError(f"{error.filename}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{directory / DIGESTS}: damaged: {error!r}") from error


def _check(path: Path, saved: Mapping[str, Any]) -> None:
    if sparse.digest(path) != saved["digest"]:
        raise EvidenceError(f"{path}: its content is not what was saved")


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise EvidenceError(f"{path}: not JSON: {error}") from error
