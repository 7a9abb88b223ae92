"""What one run works with, as functions that make it; tests hand in their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from harness.dump.collect import collect_file, collect_partition
from harness.dump.disk.look_for_files import ext_files
from harness.dump_tools.tool import DumpTool
from harness.evidence.collected import Collected
from harness.evidence.known_files import KnownFiles
from harness.evidence.outcome import ReIplOutcome
from harness.evidence.snapshot import Snapshot
from harness.images.hold_plugin import hold_plugin
from harness.images.needs import Wanted
from harness.images.partitions import Placement
from harness.images.provide import Images
from harness.images.store import Store
from harness.judges.run_dump import Judges
from harness.machine.dump_load.dumper import Dumper
from harness.machine.hold.keeper import Keeper
from harness.machine.run_phases import RunPhases
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.crash import Crash, crash
from harness.machine.system.reipl import NOTHING_ASKED, Again, reipl
from harness.machine.vector_checksum_probe import vector_checksum_works
from harness.progress import Progress
from harness.qemu.binary import QemuBinary, find_qemu
from harness.run.given_disk import DumpDisk
from harness.run.inputs import wanted
from harness.run.inputs.crash import CrashInputs
from harness.run.inputs.dump import DumpInputs
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.plan import Plan
from harness.scenario.model import Dump
from harness.verify.evidence import Evidence
from harness.verify.run_checks import CheckedRun, run_checks

OnConsole = Callable[[str], None]


class CrashSystem(Protocol):
    def __call__(
        self,
        booter: Booter,
        system: Bootable,
        how: Crash,
        directory: Path,
        kernel: Mapping[str, Any],
    ) -> Snapshot: ...


class ReIpls(Protocol):
    def __call__(
        self,
        booter: Booter,
        snapshot: Snapshot,
        block: bytes,
        directory: Path,
        again: Again = NOTHING_ASKED,
    ) -> ReIplOutcome: ...


class MakesDumper(Protocol):
    def __call__(
        self,
        binary: QemuBinary,
        phases: RunPhases,
        stall_seconds: float,
        on_line: OnConsole | None,
        tool: DumpTool,
        keeper: Keeper | None,
        plugin: Path | None,
    ) -> Dumper: ...


class MakesJudges(Protocol):
    def __call__(self, store: Store, progress: Progress, *, time_factor: float) -> Judges: ...


def collect(
    disk: Path,
    how: Dump,
    into: Path,
    progress: Progress,
    given: DumpDisk | None,
    images: Images,
) -> Collected:
    """Collect the dump from where ``how`` says, or the ``given`` disk.

    ``images`` reads file systems that only Linux reads. Raises what a reader raises.
    """
    if given is not None and given.destination is not None:
        number, directory = given.destination.partition or 1, given.destination.directory
        size, earlier = given.sector_size, given.earlier
        return collect_file(disk, number, into, progress, directory, size, earlier)
    if given is None and how.layout.is_file_system:
        where = ChosenTool.of(how).tool.destination(how.parmline)
        number = where.partition or how.partition
        if how.layout.boots_from_beside:
            return _collect_copied(disk, how, number, where.directory, into, images)
        known = KnownFiles.load(into)
        earlier = frozenset() if known is None else ext_files(known.older_dumps)
        return collect_file(disk, number, into, progress, where.directory, how.sector_size, earlier)
    return collect_partition(disk, into, progress)


def _collect_copied(
    disk: Path, how: Dump, number: int, directory: str, into: Path, images: Images
) -> Collected:
    with TemporaryDirectory(prefix="copy-", dir=disk.parent) as name:
        copy = Path(name) / disk.name
        complaint = images.copy_dumps(
            disk, how.layout, Placement(number, how.table), directory, copy
        )
        if complaint is not None:  # it was sound before the dump
            what = f"{how.layout} on partition {number} cannot be read: {complaint}"
            return Collected(None, what)
        return collect_file(copy, number, into, images.progress, directory)


def verify(root: Path) -> CheckedRun:
    """Verify the evidence in ``root``."""
    with Evidence.open(root) as evidence:
        return run_checks(evidence)


@dataclass(frozen=True)
class Machines:
    """The makers; by default the real ones."""

    find_qemu: Callable[[], QemuBinary] = find_qemu
    images: Callable[[Store, Progress], Images] = Images
    wanted: Callable[[Plan], Wanted] = wanted
    crash_inputs: Callable[[Images, Plan], CrashInputs] = CrashInputs.prepare
    dump_inputs: Callable[[Images, Plan], DumpInputs] = DumpInputs.prepare
    crash: CrashSystem = crash
    hold_plugin: Callable[[Store, QemuBinary], Path | None] = hold_plugin
    dumper: MakesDumper = Dumper
    reipl: ReIpls = reipl
    vector_checksum_works: Callable[[QemuBinary, str], bool | None] = vector_checksum_works
    collect: Callable[[Path, Dump, Path, Progress, DumpDisk | None, Images], Collected] = collect
    verify: Callable[[Path], CheckedRun] = verify
    judges: MakesJudges = Judges.of


REAL = Machines()
