"""A running system that a test controls, until its crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import CONSOLE
from harness.evidence.snapshot import Snapshot
from harness.images.store import Store
from harness.machine.system.crash import crash_booted
from harness.phase import Phase
from harness.progress import NoProgress
from harness.run.plan import Plan
from harness.run.system import Up, booted_system


class CrashedSystem:
    """A running system with its shell, before the crash: on its console, or over SSH.

    Every method raises HarnessError or a subclass: QemuDied if QEMU ends on its own, PhaseTimeout
    if a phase takes too long (``harness.run.phases``), UsageError after ``crash``.
    """

    def __init__(self, plan: Plan, directory: Path, up: Up, power: ExitStack) -> None:
        self._plan, self._directory = plan, directory
        self._phases, self._power = up.phases, power
        self._running: Up | None = up

    @classmethod
    @contextmanager
    def booted(
        cls, plan: Plan, output: Path, store: Store, on_line: Callable[[str], None] | None = None
    ) -> Iterator[Self]:
        """Boot the system of ``plan`` for a ``with`` block.

        Its evidence goes to ``output``, which must be new or empty. Another thread calls
        ``on_line`` with each console line. Raises BuildError, and what ``Booter.booted`` raises.
        """
        with ExitStack() as power:
            up = power.enter_context(booted_system(plan, output, store, NoProgress(), on_line))
            yield cls(plan, RunDirectory(output).crash, up, power)

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

    def put(self, local: Path, remote: str) -> None:
        """Copy a file of this host into the system; raises HarnessError if that fails."""
        system = self._up().system
        self._phases.note("put", local=str(local), remote=remote)
        with self._phases.phase(Phase.CRASH) as deadline:
            system.shell.put(local, remote, deadline)

    def get(self, remote: str, local: Path) -> None:
        """Copy a file of the system to this host; raises HarnessError if that fails."""
        system = self._up().system
        self._phases.note("get", remote=remote, local=str(local))
        with self._phases.phase(Phase.CRASH) as deadline:
            system.shell.get(remote, local, deadline)

    def crash(self) -> Snapshot:
        """Crash the system with the marked trigger, and end QEMU; returns the snapshot for a dump.

        Raises HarnessError if the system crashes in a different way than the trigger expects.
        """
        up = self._up()
        remains = crash_booted(
            up.booter,
            up.system,
            up.spec,
            up.inputs.crash(self._plan),
            self._directory,
            up.inputs.kernel.identity(),
            up.boot_seconds,
        )
        self._running = None
        self._power.close()
        up.inputs.kernel.require_unchanged()
        return Snapshot.create(self._directory, *remains)

    def _up(self) -> Up:
        if self._running is None:
            raise UsageError(
                "the system has crashed already", hint="run commands before crash() is called"
            )
        return self._running
