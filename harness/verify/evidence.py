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
from harness.dump.collected import Collected
from harness.dump.detect import open_dump
from harness.dump.partition import DUMP, SUPERBLOCK
from harness.dump.reader import Dump
from harness.dump.superblock import FoundSuperblock, Superblock
from harness.errors import EvidenceError
from harness.s390x.cpu import CpuState
from harness.scenario.model import DumpFormat, Expect
from harness.scenario.trigger import Trigger
from harness.scenario.triggers import TRIGGERS
from harness.sparse import data_extents

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

    def read(self, address: int, size: int) -> bytes:
        return self.map[address : address + size]

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of what is no hole between two addresses, ascending."""
        for at, size in data_extents(self.file.fileno(), start, end):
            yield at, at + size


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
    in the partition layout only, unless the dump system has wrecked its disk: then
    ``superblock_fault`` says what is there instead. ``console`` are the dump system's lines
    without time stamps, ``crash_console`` the crashed system's. ``boot_seconds`` is what the
    latter's boot took. ``expect`` is what the scenario expects, ``form`` the dump's format that it
    asks for.
    ``content_seed`` is the seed of the content that the crashed system planted, None if it did not.
    ``trigger`` is what made it crash, None if nobody knows it any more. ``vmlinux`` is the crashed
    kernel's, which may be gone; None if none was recorded. ``dump_release`` is the dump kernel's
    ``uname -r``, None or "unknown" if nobody knows it.
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
    superblock_fault: str = ""
    trigger: Trigger | None = None
    dump_path: Path | None = None
    vmlinux: Path | None = None
    dump_release: str | None = None

    @property
    def ipl_cpu(self) -> CpuState:
        return self.cpus[IPL_CPU]

    @classmethod
    @contextmanager
    def open(cls, directory: Path, vmlinux: Path | None = None) -> Iterator[Self]:
        """Open an evidence directory for the length of a ``with`` block.

        ``vmlinux`` is to be used instead of the one that is recorded.
        Raises EvidenceError, naming the file, if the harness's own part is missing or damaged.
        That includes a dump that was never collected. A disk without a dump and an unreadable
        dump are the dump system's fault and raise nothing.
        """
        crash, dump_dir = directory / "crash", directory / "dump"
        machine = _json(crash / "machine.json")
        outcome = _json(dump_dir / "outcome.json")
        layout = _layout(outcome, dump_dir / "outcome.json")
        run = _json(directory / "run.json")
        expect = _expect(run, directory / "run.json")
        console = _console(dump_dir / "console.log")
        collected = Collected.load(dump_dir)
        with ExitStack() as stack:
            ram = _ram(crash, machine, stack)
            dump, fault = _dump(dump_dir / DUMP, collected, stack)
            yield cls(
                ram=ram,
                cpus=_cpus(crash / "cpus.json"),
                dump=dump,
                dump_fault=fault,
                superblock=_superblock(dump_dir / SUPERBLOCK, collected),
                superblock_fault=collected.note,
                console=console,
                outcome=outcome,
                layout=layout,
                crash_console=_console(crash / "console.log"),
                boot_seconds=machine.get("boot_seconds"),
                expect=expect,
                form=_form(run, directory / "run.json"),
                reipl=_reipl(directory, outcome, expect),
                content_seed=_content_seed(crash / "machine.json"),
                trigger=TRIGGERS.get(str(machine.get("trigger"))),
                dump_path=dump_dir / DUMP,
                vmlinux=vmlinux or _recorded_vmlinux(run, machine, directory),
                dump_release=_dump_release(run),
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


def _dump(path: Path, collected: Collected, stack: ExitStack) -> tuple[Dump | None, str | None]:
    if collected.size is None:
        return None, f"the dump system left no dump: {collected.note}"
    try:
        size = path.stat().st_size
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if size != collected.size:
        raise EvidenceError(f"{path}: {size} bytes, but {collected.size} were collected")
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


def _superblock(path: Path, collected: Collected) -> FoundSuperblock | None:
    if collected.superblock_offset is None:
        return None
    block = _read(path)
    try:
        return FoundSuperblock(Superblock.parse(block), collected.superblock_offset, block)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error


def _expect(run: Any, path: Path) -> Expect:
    try:
        return Expect.model_validate(run["plan"]["scenario"]["expect"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: does not tell what was expected: {error!r}") from error


def _form(run: Any, path: Path) -> DumpFormat:
    try:
        return DumpFormat(run["plan"]["scenario"]["dump"]["format"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(
            f"{path}: does not tell what the dump's format was to be: {error!r}"
        ) from error


def _reipl(directory: Path, outcome: Mapping[str, Any], expect: Expect) -> ReIpl | None:
    if fault := outcome.get("qemu_fault"):
        raise EvidenceError(f"{directory / 'dump/outcome.json'}: {fault}")
    path, console = directory / "reipl/outcome.json", directory / "reipl/console.log"
    asked, disk = outcome.get("reipl_block") is not None, directory / "crash/system.img"
    if asked and expect.reipl and disk.exists() and not path.exists():
        raise EvidenceError(f"{path}: missing, so the re-IPL was not tried to its end")
    if not path.exists():
        return None
    return ReIpl(_json(path), _console(console) if console.exists() else ())


def _recorded_vmlinux(run: Any, machine: Any, directory: Path) -> Path | None:
    """The run's own, or that of the run that made the crash."""
    try:
        inputs = run.get("inputs") or {}
        for kernel in (inputs.get("crashed kernel"), machine.get("kernel")):
            if kernel and (vmlinux := kernel.get("vmlinux")):
                return Path(vmlinux["path"])
    except (AttributeError, KeyError, TypeError) as error:
        raise EvidenceError(
            f"{directory}: run.json and crash/machine.json do not tell where vmlinux is: {error!r}"
        ) from error
    return None


def _dump_release(run: Any) -> str | None:
    kernel = (run.get("inputs") or {}).get("dump kernel")
    return kernel.get("release") if isinstance(kernel, dict) else None


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
