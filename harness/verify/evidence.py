"""The evidence of one run, opened for the checks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Self

from harness.dump.detect import open_dump
from harness.dump.disk.zipl_superblock import SUPERBLOCK_BLOCK, FoundSuperblock, Superblock
from harness.dump.reader import Dump, Range
from harness.dump_tools.row import recorded
from harness.dump_tools.table import ZFCPDUMP
from harness.dump_tools.tool import DumpTool
from harness.errors import EvidenceError
from harness.evidence.collected import Collected
from harness.evidence.condition import Condition
from harness.evidence.directory import RunDirectory
from harness.evidence.known_files import KnownFiles
from harness.evidence.names import (
    CONSOLE,
    CPUS,
    DUMP,
    MACHINE,
    OUTCOME,
    RAM,
    SUPERBLOCK,
    SYSTEM_IMAGE,
)
from harness.evidence.own_dump import OwnDump
from harness.evidence.pack.use import restored
from harness.evidence.witnesses import Witnesses
from harness.faults.fault import Fault
from harness.faults.table import fault_of
from harness.files.json_file import Model, as_model, read_object
from harness.files.plain_file import (
    is_there,
    open_plain,
    read_plain,
    require_own_directory,
    require_plain,
)
from harness.files.sparse import data_extents
from harness.progress import Progress
from harness.s390x.cpu import CpuState
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat, Expect
from harness.triggers.system_kind import SystemKind
from harness.triggers.table import TRIGGERS
from harness.triggers.trigger import Trigger
from harness.verify.crashed_memory import CrashedMemory
from harness.verify.evidence_files import (
    MachineFile,
    OutcomeFile,
    ReIplFile,
    RunFile,
    VmlinuxFile,
)

CONSOLE_LIMIT = 40 << 20  # bytes; the harness itself writes much less
CONSOLE_LINES = 1 << 20
IPL_CPU = 0  # position in cpus.json of the CPU that performs the dump IPL


@dataclass(frozen=True)
class RamImage:
    """The crashed memory; absolute address = file offset.

    It is not mapped into memory: a hole in a full tmpfs, a bad sector or a truncated file would
    then end this process with a signal (SIGBUS).
    """

    file: BufferedReader
    size: int

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes, less at the end; raises EvidenceError if the file was cut."""
        data = os.pread(self.file.fileno(), size, address)
        if len(data) < min(size, self.size - address):
            raise EvidenceError(f"{self.file.name} became shorter while it was read")
        return data

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of the data (no holes) between two addresses, ascending."""
        for at, size in data_extents(self.file.fileno(), start, end):
            yield at, at + size


@dataclass(frozen=True)
class ReIpl:
    """The result of a re-IPL that the dump system asked for.

    ``own`` is the dump that the system then collected itself; ``own_fault`` why there is none.
    """

    outcome: Mapping[str, Any]
    console: tuple[str, ...]
    condition: Condition | None = None
    own_dump: OwnDump | None = None
    own: Dump | None = None
    own_fault: str | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks read, each in one field.

    A check that reads more needs a field here, and its value in ``open``.
    """

    ram: RamImage
    cpus: tuple[CpuState, ...]
    """The registers at the crash, by CPU address."""
    dump: Dump | None
    """None if the dump system left nothing readable."""
    dump_fault: str | None
    """What is there instead of a dump; None if there is a dump."""
    superblock: FoundSuperblock | None
    """None if the layout has none, and if the dump system has damaged its disk."""
    console: tuple[str, ...]
    """The dump system's lines, without time stamps."""
    outcome: Mapping[str, Any]
    """How the dump system ended: dump/outcome.json."""
    layout: DiskLayout
    crash_console: tuple[str, ...] = ()
    """The crashed system's lines, without time stamps."""
    boot_seconds: float | None = None
    """What the boot of the crashed system took."""
    expect: Expect = field(default_factory=Expect)
    """What the scenario expects."""
    form: DumpFormat | None = DumpFormat.ELF
    """The format that the scenario asks for; None if any is right."""
    tool: DumpTool = ZFCPDUMP
    """The dump tool of the scenario."""
    limit: int | None = None
    """The bytes of memory to which the scenario limits the dump; None if it asks for all."""
    reipl: ReIpl | None = None
    """None if there was no re-IPL."""
    condition: Condition | None = None
    """How a full system was before the crash; None if it was not asked."""
    content_seed: int | None = None
    """The seed of the content that the crashed system planted; None if it planted none."""
    superblock_fault: str = ""
    """What the disk has instead of a superblock, if it should have one."""
    trigger: Trigger | None = None
    """What made the system crash; None if it is not known any more."""
    files: KnownFiles | None = None
    """The files that were on the dump disk before; None if none are known."""
    dump_path: Path | None = None
    sha256sum: str | None = None
    """What ngdump.meta says of the dump; None if no ngdump.meta names it."""
    vmlinux: Path | None = None
    """The crashed kernel's, which may not exist any more; None if none was recorded."""
    vmlinux_digest: str | None = None
    """The SHA-256 that the vmlinux had when it was recorded; None if it was not recorded."""
    witnesses: Witnesses | None = None
    """What the crashed system said of itself before; None if it was not asked."""
    crash_path: Path | None = None
    modules: Path | None = None
    """Where the files of the crashed kernel's modules were; None if it is not known."""
    faults: tuple[Fault, ...] = ()
    """What went wrong on purpose while the dump system ran."""
    dump_system: Path | None = None
    """The dump system's own memory and registers at its end; None if they were not kept."""
    dump_vmlinux: Path | None = None
    """The dump kernel's vmlinux; None if it was built without one."""
    dump_release: str | None = None
    """The dump kernel's ``uname -r``; None or "unknown" if it is not known."""

    @property
    def crashed(self) -> Dump:
        """The crashed system, as a dump."""
        return CrashedMemory(self.ram.file, self.cpus)

    @property
    def ipl_cpu(self) -> CpuState:
        return self.cpus[IPL_CPU]

    @property
    def promised(self) -> int:
        """The end of the memory that the dump must have."""
        return self.ram.size if self.limit is None else min(self.limit, self.ram.size)

    @property
    def withheld(self) -> Range | None:
        """The end of the machine's memory, if the dump must not have it; else None."""
        if self.limit is None or self.limit >= self.ram.size:
            return None
        return Range(self.limit, self.ram.size)

    @classmethod
    @contextmanager
    def open(
        cls, directory: Path, vmlinux: Path | None = None, progress: Progress | None = None
    ) -> Iterator[Self]:
        """Open an evidence directory for the duration of a ``with`` block.

        ``vmlinux`` replaces the one that is recorded. A packed run is unpacked for that time.
        Raises EvidenceError, naming the file, if the harness's own part is missing or damaged.
        That includes a dump that was never collected. A disk without a dump and an unreadable
        dump are the dump system's fault and raise nothing.
        """
        with restored(directory, progress), cls._open(directory, vmlinux) as opened:
            yield opened

    @classmethod
    @contextmanager
    def _open(cls, directory: Path, vmlinux: Path | None) -> Iterator[Self]:
        paths = RunDirectory(directory)
        crash, dump_dir = paths.crash, paths.dump
        if is_there(paths.slimmed):
            raise EvidenceError(
                f"{directory}: memory and dump were removed after the run had passed",
                hint=f"zharness replay {directory} makes them again",
            )
        for part in (crash, dump_dir, paths.reipl):
            require_own_directory(part)
        machine = _load(MachineFile, crash / MACHINE)
        outcome = read_object(paths.outcome)
        ended = as_model(OutcomeFile, outcome, paths.outcome)
        run = _load(RunFile, paths.run)
        expect = run.plan.scenario.expect
        console = _console(dump_dir / CONSOLE)
        collected = Collected.load(dump_dir)
        tool = recorded(run.inputs.dump_tool)
        vmlinux_then, digest = _recorded_vmlinux(run, machine)
        with ExitStack() as stack:
            ram = _ram(crash, machine, stack)
            dump, fault = _dump(dump_dir / DUMP, collected, stack)
            yield cls(
                ram=ram,
                cpus=_cpus(crash / CPUS),
                dump=dump,
                dump_fault=fault,
                superblock=_superblock(dump_dir / SUPERBLOCK, collected),
                superblock_fault=collected.note,
                console=console,
                outcome=outcome,
                layout=ended.layout,
                crash_console=_console(crash / CONSOLE),
                boot_seconds=machine.boot_seconds,
                expect=expect,
                form=run.plan.scenario.dump.format,
                tool=tool,
                limit=tool.limit(run.parmline),
                reipl=_reipl(paths, ended, expect, stack),
                condition=machine.condition,
                content_seed=machine.content_seed,
                trigger=_trigger(machine),
                files=KnownFiles.load(dump_dir),
                dump_path=dump_dir / DUMP,
                sha256sum=collected.sha256sum,
                vmlinux=vmlinux or vmlinux_then,
                vmlinux_digest=None if vmlinux else digest,
                witnesses=Witnesses.load(crash),
                crash_path=crash,
                modules=_modules(run, machine),
                faults=_faults(run, paths.run),
                dump_system=paths.dump_system if is_there(paths.dump_system) else None,
                dump_vmlinux=_path_of(run.inputs.dump_vmlinux),
                dump_release=run.inputs.dump_release,
            )


def _faults(run: RunFile, path: Path) -> tuple[Fault, ...]:
    try:
        return tuple(map(fault_of, run.plan.scenario.faults.inject))
    except ValueError as error:
        raise EvidenceError(f"{path}: plan.scenario.faults: {error}") from error


def _trigger(machine: MachineFile) -> Trigger | None:
    """In the form for that system; None for a trigger that is not known here."""
    trigger = TRIGGERS.get(str(machine.trigger))
    if trigger is None:
        return None
    full = machine.system == SystemKind.FULL.value
    return trigger.on(SystemKind.FULL if full else SystemKind.MINIMAL)


def _ram(crash: Path, machine: MachineFile, stack: ExitStack) -> RamImage:
    path = crash / RAM
    file = stack.enter_context(open_plain(path))
    size = os.fstat(file.fileno()).st_size
    if size != machine.memory:
        raise EvidenceError(f"{path}: {size} bytes, but the machine had {machine.memory}")
    return RamImage(file, size)


def _dump(
    path: Path,
    collected: Collected,
    stack: ExitStack,
    none: str = "the dump system left no dump",
) -> tuple[Dump | None, str | None]:
    if collected.size is None:
        return None, f"{none}: {collected.note}"
    size = require_plain(path).st_size
    if size != collected.size:
        raise EvidenceError(f"{path}: {size} bytes, but {collected.size} were collected")
    try:
        return stack.enter_context(open_dump(path)), None
    except EvidenceError as error:
        return None, error.message


def _cpus(path: Path) -> tuple[CpuState, ...]:
    try:
        cpus = tuple(CpuState.from_json(state) for state in read_object(path)["cpus"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"{path}: not a list of CPU states: {error!r}") from error
    if not cpus:
        raise EvidenceError(f"{path}: holds no CPU")
    return cpus


def _superblock(path: Path, collected: Collected) -> FoundSuperblock | None:
    if collected.superblock_offset is None:
        return None
    block = read_plain(path, SUPERBLOCK_BLOCK)
    try:
        return FoundSuperblock(Superblock.parse(block), collected.superblock_offset, block)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error


def _reipl(
    paths: RunDirectory, outcome: OutcomeFile, expect: Expect, stack: ExitStack
) -> ReIpl | None:
    if outcome.qemu_fault:
        raise EvidenceError(f"{paths.outcome}: {outcome.qemu_fault}")
    path, console = paths.reipl / OUTCOME, paths.reipl / CONSOLE
    asked, disk = outcome.reipl_block is not None, paths.crash / SYSTEM_IMAGE
    if asked and expect.reipl and is_there(disk) and not is_there(path):
        raise EvidenceError(f"{path}: missing, so the re-IPL was not tried to its end")
    if not is_there(path):
        return None
    told = _load(ReIplFile, path)
    own, fault = _own_dump(paths.reipl / DUMP, told.own_dump, stack)
    lines = _console(console) if is_there(console) else ()
    return ReIpl(told.model_dump(), lines, told.condition, told.own_dump, own, fault)


def _own_dump(path: Path, told: OwnDump | None, stack: ExitStack) -> tuple[Dump | None, str | None]:
    """The dump that the system collected, as ``_dump``."""
    if told is None:
        return None, "the system was not asked to collect its dump"
    return _dump(path, Collected(told.size, told.error), stack, "the system collected no dump")


def _recorded_vmlinux(run: RunFile, machine: MachineFile) -> tuple[Path | None, str | None]:
    """Path and SHA-256 of the vmlinux of this run, or of the run that made the crash."""
    for kernel in (run.inputs.crashed_kernel, machine.kernel):
        if kernel is not None and kernel.vmlinux is not None:
            return Path(kernel.vmlinux.path), kernel.vmlinux.sha256
    return None, None


def _path_of(vmlinux: VmlinuxFile | None) -> Path | None:
    return None if vmlinux is None else Path(vmlinux.path)


def _modules(run: RunFile, machine: MachineFile) -> Path | None:
    """The folder with the files of the modules, as :func:`_recorded_vmlinux`."""
    for kernel in (run.inputs.crashed_kernel, machine.kernel):
        if kernel is not None and kernel.modules is not None:
            return Path(kernel.modules)
    return None


def _console(path: Path) -> tuple[str, ...]:
    log = read_plain(path, CONSOLE_LIMIT)
    if log.count(b"\n") > CONSOLE_LINES:
        raise EvidenceError(f"{path}: has more than {CONSOLE_LINES} lines, the most that is read")
    return tuple(map(_without_time, log.decode(errors="replace").splitlines()))


def _without_time(line: str) -> str:
    """``+   12.345678 text`` without its time stamp."""
    if not line.startswith("+"):
        return line
    _, _, rest = line[1:].lstrip().partition(" ")
    return rest


def _load(model: type[Model], path: Path) -> Model:
    return as_model(model, read_object(path), path)
