"""The system of a plan, booted and ready for commands; nothing crashes by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import clock
from harness.evidence.directory import RunDirectory
from harness.evidence.journal import Journal
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.frozen.booter import FrozenBooter
from harness.machine.hold.keeper import Keeper
from harness.machine.run_phases import RunPhases
from harness.machine.system.boot import Booter
from harness.machine.system.running import RunningSystem
from harness.phase import Phase
from harness.progress import Progress
from harness.qemu.binary import QemuBinary, find_qemu
from harness.qemu.spec import MachineSpec
from harness.run.inputs.crash import CrashInputs
from harness.run.phases import Phases
from harness.run.plan import Plan


@dataclass(frozen=True)
class Up:
    """A system that is up, with all that made it; ``boot_seconds`` is the time of its boot."""

    system: RunningSystem
    booter: Booter
    spec: MachineSpec
    inputs: CrashInputs
    phases: Phases
    boot_seconds: float


def booter_of(
    plan: Plan,
    binary: QemuBinary,
    phases: RunPhases,
    on_line: Callable[[str], None] | None,
    store: Store,
    keeper: Keeper | None = None,
) -> Booter:
    """Who starts the system of ``plan`` before its crash: by its boot, or from a frozen one."""
    if plan.scenario.crashed.frozen:
        return FrozenBooter(binary, phases, on_line, keeper, store=store)
    return Booter(binary, phases, on_line, keeper)


@contextmanager
def booted_system(
    plan: Plan,
    output: Path,
    store: Store,
    progress: Progress,
    on_line: Callable[[str], None] | None = None,
) -> Iterator[Up]:
    """Boot the system of ``plan`` for a ``with`` block; QEMU ends with it.

    Console and journal go to ``output``, which must be new or empty. Another thread calls
    ``on_line`` with each console line. Raises BuildError, and what ``Booter.booted`` raises.
    """
    paths = RunDirectory.create(output)
    with Journal(paths.journal) as journal:
        memory = plan.scenario.crashed.memory
        phases = Phases(journal, progress, memory=memory, time_factor=plan.time_factor)
        with phases.work(Phase.IMAGES):
            inputs = CrashInputs.prepare(Images(store, progress), plan)
        booter = booter_of(plan, find_qemu(), phases, on_line, store)
        system = inputs.bootable(plan)
        started = clock.now()
        with booter.booted(system, paths.crash) as running:
            yield Up(running, booter, system.spec, inputs, phases, clock.now() - started)
