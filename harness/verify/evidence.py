"""The evidence of one run, opened for judging."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Self

from harness.build.layout import DiskLayout
from harness.dump.detect import open_dump
from harness.dump.partition import DUMP, FoundSuperblock, Superblock
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.scenario.model import DumpFormat, Expect

_SEED_LIMIT = 1 << 64
IPL_CPU = 0  # position in cpus.json of the CPU that performs the dump IPL


@dataclass(frozen=True)
class RamImage:
    """The crashed memory, mapped for reading; absolute address = file offset."""

    file: BufferedReader
    map: mmap.mmap

    @property
    def size(self) -> int:
        return len(self.map)


@dataclass(frozen=True)
class ReIpl:
    """What became of a re-IPL that the dump system asked for."""

    outcome: Mapping[str, Any]
    console: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything the checks look at.

    ``cpus`` are the registers at the crash, by CPU address. ``dump`` is None if the dump system
    left nothing readable; ``dump_fault`` then says what is there instead. ``superblock`` exists
    in the partition layout only. ``console`` are the dump system's lines without time stamps,
    ``crash_console`` the crashed system's. ``boot_seconds`` is what the latter's boot took.
    ``expect`` is what the scenario expects, ``form`` the dump's format that it asks for.
    ``content_seed`` is the seed of the content that the crashed system planted, None if it did not.
    """

    ram: RamImage
    cpus: tuple[CpuState, ...]
    dump: Dump | None
    dump_fault: str | None
    superblock: FoundSuperblock | None
    console: tuple[str, ...]
    outcome: Mapping[str, Any]
    layout: DiskLayout
    crash_console: tuple[str, ...] = ()
    boot_seconds: float | None = None
    expect: Expect = field(default_factory=Expect)
    form: DumpFormat = DumpFormat.ELF
    reipl: ReIpl | None = None
    content_seed: int | None = None

    @property
    def ipl_cpu(self) -> CpuState:
        return self.cpus[IPL_CPU]

    @classmethod
    @contextmanager
    def open(cls, directory: Path) -> Iterator[Self]:
        """Open an evidence directory for the length of a ``with`` block.

        Raises EvidenceError, naming the file, if the harness's own part is missing or damaged.
        A missing or unreadable dump is the dump system's fault and raises nothing.
        """
        crash, dump_dir, reipl = directory / "crash", directory / "dump", directory / "reipl"
        machine = _json(crash / "machine.json")
        outcome = _json(dump_dir / "outcome.json")
        layout = _layout(outcome, dump_dir / "outcome.json")
        console = _console(dump_dir / "console.log")
        with ExitStack() as stack:
            ram = _ram(crash, machine, stack)
            dump, fault = _dump(dump_dir / DUMP, stack)
            yield cls(
                ram=ram,
                cpus=_cpus(crash / "cpus.json"),
                dump=dump,
                dump_fault=fault,
                superblock=(
                    _superblock(dump_dir / "superblock.bin", dump_dir / "disk.json")
                    if layout is DiskLayout.PARTITION
                    else None
                ),
                console=console,
                outcome=outcome,
                layout=layout,
                crash_console=_console(crash / "console.log"),
                boot_seconds=machine.get("boot_seconds"),
                expect=_expect(directory / "run.json"),
                form=_form(directory / "run.json"),
                reipl=_reipl(reipl) if reipl.exists() else None,
                content_seed=_content_seed(crash / "machine.json"),
            )


def _ram(crash: Path, machine: Any, stack: ExitStack) -> RamImage:
    path = crash / "ram.img"
    try:
        memory = int(machine["memory"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{crash / 'machine.json'}: no memory size: {error!r}") from error
    try:
        file = stack.enter_context(path.open("rb"))
        size = path.stat().st_size
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if size != memory or size == 0:
        raise EvidenceError(f"{path}: {size} bytes, but the machine had {memory}")
    content = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
    stack.callback(content.close)
    return RamImage(file, content)


def _content_seed(path: Path) -> int | None:
    machine = _json(path)
    seed = machine.get("content_seed") if isinstance(machine, dict) else None
    if seed is None or (type(seed) is int and 0 <= seed < _SEED_LIMIT):
        return seed
    raise EvidenceError(f"{path}: content_seed {seed!r} is no number of 64 bits")


def _dump(path: Path, stack: ExitStack) -> tuple[Dump | None, str | None]:
    if not path.exists():
        return None, "the dump system left no dump"
    try:
        return stack.enter_context(open_dump(path)), None
    except EvidenceError as error:
        return None, error.message


def _cpus(path: Path) -> tuple[CpuState, ...]:
    try:
        cpus = tuple(CpuState.from_json(state) for state in _json(path)["cpus"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: not a list of CPU states: {error!r}") from error
    if not cpus:
        raise EvidenceError(f"{path}: holds no CPU")
    return cpus


def _layout(outcome: Any, path: Path) -> DiskLayout:
    try:
        return DiskLayout(outcome["layout"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: does not tell the disk layout: {error!r}") from error


def _superblock(path: Path, disk: Path) -> FoundSuperblock:
    block, where = _read(path), _json(disk)
    try:
        offset = int(where["superblock_offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{disk}: does not tell where the superblock is: {error!r}") from error
    try:
        return FoundSuperblock(Superblock.parse(block), offset, block)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error


def _expect(path: Path) -> Expect:
    try:
        return Expect.model_validate(_json(path)["plan"]["scenario"]["expect"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: does not tell what was expected: {error!r}") from error


def _form(path: Path) -> DumpFormat:
    try:
        return DumpFormat(_json(path)["plan"]["scenario"]["dump"]["format"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(
            f"{path}: does not tell what the dump's format was to be: {error!r}"
        ) from error


def _reipl(directory: Path) -> ReIpl:
    console = directory / "console.log"
    return ReIpl(_json(directory / "outcome.json"), _console(console) if console.exists() else ())


def _console(path: Path) -> tuple[str, ...]:
    lines = _read(path).decode(errors="replace").splitlines()
    return tuple(_without_time(line) for line in lines)


def _without_time(line: str) -> str:
    """``+   12.345678 text`` without its time stamp."""
    if not line.startswith("+"):
        return line
    _, _, rest = line[1:].lstrip().partition(" ")
    return rest


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise EvidenceError(f"{path}: not JSON: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
