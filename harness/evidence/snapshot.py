"""A crash: memory, every CPU's registers, the console. It never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import EvidenceError
from harness.evidence.names import (
    ARGV,
    CONSOLE,
    CPUS,
    DIGESTS,
    MACHINE,
    RAM,
    SYSTEM_IMAGE,
    WITNESSES,
)
from harness.files import sparse
from harness.files.json_file import as_model, read_object
from harness.files.json_text import to_text
from harness.files.plain_file import read_plain, require_plain
from harness.s390x.cpu import CpuState

IMAGES = (RAM, SYSTEM_IMAGE)  # too large to be read whenever a snapshot is opened
# all that have digests
FILES = frozenset((RAM, SYSTEM_IMAGE, CPUS, MACHINE, CONSOLE, ARGV, WITNESSES))
MAX_MEMORY = 1 << 40
MAX_CPUS = 512
MAX_CONSOLE = 40 << 20  # bytes; a console log ends long before

FORMAT = 2  # version of a snapshot's files and their content; part of a stored crash's name


class _Machine(BaseModel):
    """The fields of machine.json that are checked before a crash is used; see ``Snapshot``."""

    model_config = ConfigDict(strict=True, extra="ignore")

    memory: int = Field(gt=0, le=MAX_MEMORY)
    created: str
    trigger: str
    cpu_model: str = Field(pattern="^[A-Za-z0-9.,=_+-]+$")
    boot_seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    dump_block: str | None = Field(None, pattern="^([0-9a-f]{2})*$", max_length=1 << 16)
    content_seed: int | None = Field(None, ge=0, lt=1 << 64)


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    size: int = Field(ge=0)
    digest: str = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True)
class Snapshot:
    """``memory`` in bytes; ``cpus`` by CPU address. CPU 0 is the IPL CPU of the dump.

    ``digests`` maps each file name to ``size`` and ``digest`` (see ``sparse.digest``).
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
    def qemu(self) -> str | None:
        """The release of the QEMU in which the system crashed; None if it is not recorded."""
        release = self.machine.get("qemu")
        return None if release is None else str(release)

    @property
    def boot_seconds(self) -> float | None:
        """Seconds that the boot took: it shows how fast the host is, for time limits."""
        return self.machine.get("boot_seconds")

    @property
    def limits(self) -> tuple[str, ...]:
        """Which output of the system was not kept because a limit was reached."""
        limits = self.machine.get("limits")
        if not isinstance(limits, list):  # from an older version, or made elsewhere
            return ()
        return tuple(f"crashed system: {what}" for what in limits)

    @property
    def dump_block(self) -> bytes | None:
        """The IPL parameter block with which the system itself requested its dump."""
        block = self.machine.get("dump_block")
        return None if block is None else bytes.fromhex(block)

    @property
    def system_disk(self) -> Path | None:
        """The system's own disk as the crash left it."""
        path = self.directory / SYSTEM_IMAGE
        return path if path.exists() else None

    @property
    def console(self) -> str:
        """Everything that the system printed, with time stamps."""
        return read_plain(self.directory / CONSOLE, MAX_CONSOLE).decode(errors="replace")

    @classmethod
    def create(
        cls, directory: Path, cpus: tuple[CpuState, ...], machine: Mapping[str, Any]
    ) -> Snapshot:
        """Describe the crash whose ``ram.img`` and other files already stand in ``directory``."""
        machine = {"format": FORMAT, **machine}
        states = {"cpus": [cpu.to_json() for cpu in cpus]}
        (directory / CPUS).write_text(to_text(states) + "\n")
        (directory / MACHINE).write_text(to_text(machine) + "\n")
        digests = {
            file.name: {"size": file.stat().st_size, "digest": sparse.digest(file)}
            for file in sorted(directory.iterdir())
            if file.name in FILES
        }
        (directory / DIGESTS).write_text(to_text(digests) + "\n")
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path) -> Snapshot:
        """Raises EvidenceError, naming the file, if anything is missing or does not fit.

        It checks all sizes and reads the small files; :meth:`check_images` reads the large ones.
        """
        machine = read_object(directory / MACHINE)
        if (found := machine.get("format")) != FORMAT:
            raise EvidenceError(
                f"{directory}: a crash snapshot of format {found or 1}, not {FORMAT}",
                hint="crash the system again",
            )
        digests = _digests(directory / DIGESTS)
        _check_small(directory, digests)
        memory = as_model(_Machine, machine, directory / MACHINE).memory
        cpus = _cpus(directory / CPUS)
        ram = directory / RAM
        if (size := require_plain(ram).st_size) != memory:
            raise EvidenceError(f"{ram}: {size} bytes, but the machine had {memory}")
        return cls(directory, memory, cpus, machine, digests)

    def check_images(self) -> None:
        """Raises EvidenceError naming the first large file that is not what was saved.

        It reads all data in them, as a dump of the crash does.
        """
        for name in filter(self.digests.__contains__, IMAGES):
            _check(self.directory / name, self.digests[name])


def _digests(path: Path) -> dict[str, dict[str, Any]]:
    """Raises EvidenceError if it names an unknown file, or lacks a file of every snapshot."""
    digests = read_object(path)
    for name in digests:
        if name not in FILES:  # the name could lead out of the snapshot
            raise EvidenceError(f"{path}: '{name}' is no file of a crash snapshot")
    for name in (RAM, CPUS, MACHINE):
        if name not in digests:
            raise EvidenceError(f"{path}: has no digest of {name}")
    return {name: as_model(_Saved, saved, path).model_dump() for name, saved in digests.items()}


def _cpus(path: Path) -> tuple[CpuState, ...]:
    try:
        cpus = tuple(CpuState.from_json(state) for state in read_object(path)["cpus"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: not a list of CPU states: {error}") from error
    if not 0 < len(cpus) <= MAX_CPUS:
        raise EvidenceError(f"{path}: holds {len(cpus)} CPUs")
    return cpus


def _check_small(directory: Path, digests: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the sizes of all files, and the content of the small ones."""
    for name, saved in digests.items():
        path = directory / name
        size = require_plain(path).st_size
        if size != saved["size"]:
            raise EvidenceError(f"{path}: {size} bytes; {saved['size']} were saved")
        if name not in IMAGES:
            _check(path, saved)


def _check(path: Path, saved: Mapping[str, Any]) -> None:
    if sparse.digest(path) != saved["digest"]:
        raise EvidenceError(f"{path}: its content is not what was saved")
