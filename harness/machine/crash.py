"""Boot a system in QEMU, make it crash, and freeze what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pexpect

from harness.deadline import Deadline
from harness.dump.elf import ElfDump
from harness.errors import HarnessError, PhaseTimeout, QemuDied
from harness.machine.snapshot import RAM, Snapshot
from harness.machine.steps import Steps
from harness.machine.triggers import Trigger
from harness.qemu.binary import QemuBinary
from harness.qemu.monitor import Event
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.s390x.cpu import CpuState

READY = "zharness: crashed system ready"
PROMPT = "zharness# "
EARLY_PANIC = "Kernel panic - not syncing[^\r\n]*"
PANICKED = "GUEST_PANICKED"
ENDED = ("SHUTDOWN", "RESET")
TAIL_LINES = 12


@dataclass(frozen=True)
class Crasher:
    """What a crash needs besides the machine: which QEMU, whom to tell."""

    binary: QemuBinary
    steps: Steps
    on_line: Callable[[str], None] | None = None

    def crash(self, spec: MachineSpec, trigger: Trigger, directory: Path) -> Snapshot:
        """Boot ``spec``, pull ``trigger``, and leave a snapshot in ``directory``.

        Raises PhaseTimeout if the system does not come up or does not crash, HarnessError if
        it crashes before it was told to or ends otherwise, HostError if memory or space lack.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with (
            GuestRam.create(spec.memory) as ram,
            Qemu.start(
                self.binary, spec, ram, directory, name="crash", on_line=self.on_line
            ) as qemu,
        ):
            with self.steps.phase("boot") as deadline:
                _boot(qemu, deadline)
            with self.steps.phase("crash") as deadline:
                qemu.console.sendline(trigger.command)
                panic = _wait_for_panic(qemu, trigger, deadline)
                self.steps.note("panicked", **panic.data)
            with self.steps.phase("snapshot") as deadline:
                cpus = _cpu_states(qemu, directory, deadline)
                ram.save(directory / RAM)
        return Snapshot.create(
            directory,
            cpus,
            {
                "memory": spec.memory,
                "cpu_model": spec.cpu_model,
                "trigger": trigger.name,
                "parmline": spec.append,
                "panic": dict(panic.data),
                "qemu": ".".join(map(str, self.binary.version)),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )


def _boot(qemu: Qemu, deadline: Deadline) -> None:
    try:
        seen = qemu.console.expect([READY, EARLY_PANIC], timeout=deadline.remaining)
        if seen == 0:
            qemu.console.expect_exact(PROMPT, timeout=deadline.remaining)
            return
    except pexpect.TIMEOUT:
        raise PhaseTimeout(
            "boot", f"the line '{READY}'", deadline.seconds, qemu.console.tail(TAIL_LINES)
        ) from None
    except pexpect.EOF:
        qemu.check()
        raise QemuDied("the crashed system's console ended during its boot") from None
    raise HarnessError(
        f"the system to be crashed panicked on its own, during boot: {qemu.console.after}",
        hint="see crash/console.log; is this kernel able to run the crashed system's initramfs?",
    )


def _wait_for_panic(qemu: Qemu, trigger: Trigger, deadline: Deadline) -> Event:
    event = qemu.monitor.wait_event((PANICKED, *ENDED), deadline)
    if event is None:
        qemu.check()
        raise PhaseTimeout(
            "crash",
            f"the guest to panic after trigger {trigger.name} ('{trigger.command}')",
            deadline.seconds,
            qemu.console.tail(TAIL_LINES),
        )
    if event.name != PANICKED:
        raise HarnessError(
            f"the guest ended with {event.name} instead of a panic after trigger {trigger.name}",
            hint="the crashed system needs panic=0 on its parmline, so that it stops in place",
        )
    return event


def _cpu_states(qemu: Qemu, directory: Path, deadline: Deadline) -> tuple[CpuState, ...]:
    """Every CPU's registers, from the notes of a one-page memory dump.

    The gdbstub of QEMU 7.2 has neither prefix nor timers under TCG; these notes do.
    """
    notes = directory / "cpus.elf"
    qemu.monitor.execute(
        "dump-guest-memory",
        {"paging": False, "protocol": f"file:{notes.resolve()}", "begin": 0, "length": 4096},
        deadline=deadline,
    )
    try:
        with ElfDump.open(notes) as elf:
            return elf.cpus
    finally:
        notes.unlink()
