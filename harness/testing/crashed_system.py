"""A running system that a test controls, until its crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness import clock
from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.journal import Journal
from harness.evidence.names import CONSOLE
from harness.evidence.snapshot import Snapshot
from harness.images.kernel.build import Kernel
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.system.boot import Booter
from harness.machine.system.crash import crash_booted
from harness.machine.system.running import RunningSystem
from harness.phase import Phase
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.run.inputs import CrashInputs
from harness.run.phases import Phases
from harness.run.plan import Plan


@dataclass(frozen=True)
class _Running:
    """``power.close()`` ends QEMU."""

    system: RunningSystem
    booter: Booter
    spec: MachineSpec
    kernel: Kernel
    boot_seconds: float
    power: ExitStack


class CrashedSystem:
    """A running system with its shell on the console, before the crash.

    Every method raises HarnessError or a subclass: QemuDied if QEMU ends on its own, PhaseTimeout
    if a phase takes too long (``harness.run.phases``), UsageError after ``crash``.
    """

    def __init__(self, plan: Plan, directory: Path, phases: Phases, running: _Running) -> None:
        self._plan, self._directory = plan, directory
        self._phases = phases
        self._running: _Running | None = running

    @classmethod
    @contextmanager
    def booted(
        cls, plan: Plan, output: Path, store: Store, on_line: Callable[[str], None] | None = None
    ) -> Iterator[Self]:
        """Boot the system of ``plan`` for a ``with`` block.

        Its evidence goes to ``output``, which must be new or empty. Another thread calls
        ``on_line`` with each console line. Raises BuildError, and what ``Booter.booted`` raises.
        """
        paths = RunDirectory.create(output)
        progress = NoProgress()
        with Journal(paths.journal) as journal, ExitStack() as power:
            memory = plan.scenario.crashed.memory
            phases = Phases(journal, progress, memory=memory, time_factor=plan.time_factor)
            with phases.work(Phase.IMAGES):
                inputs = CrashInputs.prepare(Images(store, progress), plan)
            booter, spec = Booter(find_qemu(), phases, on_line), inputs.spec(plan)
            started = clock.now()
            system = power.enter_context(booter.booted(spec, paths.crash, inputs.system_disk))
            boot_seconds = clock.now() - started
            running = _Running(system, booter, spec, inputs.kernel, boot_seconds, power)
            yield cls(plan, paths.crash, phases, running)

    @property
    def console(self) -> str:
        """Everything that the system has printed so far, with time stamps, as in the evidence."""
        return (self._directory / CONSOLE).read_text(encoding="utf-8", errors="replace")

    def run(self, command: str) -> str:
        """Run a shell command to its end; returns its output, kernel messages included.

        The last line end is removed, as in the shell's ``$(...)``. Raises HarnessError if the
        exit status is not 0.
        """
        system = self._up().system
        self._phases.note("command", command=command)
        with self._phases.phase(Phase.CRASH) as deadline:
            return system.shell.run(command, deadline).replace("\r\n", "\n").removesuffix("\n")

    def crash(self) -> Snapshot:
        """Crash the system with the marked trigger, and end QEMU; returns the snapshot for a dump.

        Raises HarnessError if the system crashes in a different way than the trigger expects.
        """
        up = self._up()
        remains = crash_booted(
            up.booter,
            up.system,
            up.spec,
            self._plan.crash,
            self._directory,
            up.kernel.identity(),
            up.boot_seconds,
        )
        self._running = None
        up.power.close()
        up.kernel.require_unchanged()
        return Snapshot.create(self._directory, *remains)

    def _up(self) -> _Running:
        if self._running is None:
            raise UsageError(
                "the system has crashed already", hint="run commands before crash() is called"
            )
        return self._running
