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
from harness.machine.system.boot import Booter
from harness.machine.system.running import RunningSystem
from harness.phase import Phase
from harness.progress import Progress
from harness.qemu.binary import find_qemu
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
        booter, spec = Booter(find_qemu(), phases, on_line), inputs.spec(plan)
        started = clock.now()
        with booter.booted(
            spec,
            paths.crash,
            inputs.system_disk,
            login=inputs.login,
            direct=inputs.direct,
        ) as system:
            yield Up(system, booter, spec, inputs, phases, clock.now() - started)
