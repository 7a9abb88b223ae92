"""Record a dump session of a real QEMU for ``test_dump_session.py``.

    python -m tests.replay.record KERNEL DIRECTORY

KERNEL is a dump kernel. It panics twice for want of a root file system: once to be dumped, once
as the dump system, which has by then used every function that the harness plays. That keeps the
recording short.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from harness.deadline import Deadline
from harness.dump.elf import ElfDump
from harness.machine.console_watch import ConsoleWatch
from harness.machine.dump_session import DumpSession
from harness.machine.old_memory import OldMemory
from harness.machine.snapshot import RAM, Snapshot
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.qemu.transcript import Recorder as GdbRecorder
from tests.replay.tape import Recorder

MEMORY = 128 << 20
HSA = 32 << 20
SECONDS = 60.0
PARMLINE = "console=ttysclp0 panic=0"


class NoSteps:
    """Nobody is told anything."""

    @contextmanager
    def phase(self, name):
        yield Deadline(SECONDS)

    def note(self, event, /, **details):
        pass


def crash(kernel: Path, directory: Path) -> Snapshot:
    spec = MachineSpec(memory=MEMORY, cpus=2, kernel=kernel, append=PARMLINE)
    with (
        GuestRam.create(MEMORY) as ram,
        Qemu.start(find_qemu(), spec, ram, directory, name="crash") as qemu,
    ):
        deadline = Deadline(SECONDS)
        assert qemu.monitor.wait_event(("GUEST_PANICKED",), deadline)
        notes = directory / "cpus.elf"
        where = {"paging": False, "protocol": f"file:{notes}", "begin": 0, "length": 4096}
        qemu.monitor.execute("dump-guest-memory", where, deadline=deadline)
        ram.save(directory / RAM)
    with ElfDump.open(notes) as elf:
        machine = {"memory": MEMORY, "cpu_model": "max", "trigger": "none", "created": "then"}
        return Snapshot.create(directory, elf.cpus, machine)


def record(kernel: Path, snapshot: Snapshot, scratch: Path, into: Path) -> None:
    tape = Recorder()
    spec = MachineSpec(memory=MEMORY, cpus=2, kernel=kernel, append=PARMLINE, paused=True, gdb=True)
    with (
        (into / "session.gdb").open("w") as transcript,
        OldMemory(snapshot) as old,
        GuestRam.from_image(snapshot.ram_image) as ram,
        Qemu.start(
            find_qemu(), spec, ram, scratch, name="dump", transcript=GdbRecorder(transcript)
        ) as qemu,
    ):
        memory = tape.wrap("ram", ram, "read", "write")
        old_memory = tape.wrap("old", old, "read")
        old_memory.restore = lambda _, start: old.restore(ram, start)
        machine = tape.wrap("qemu", qemu, "check")
        machine.gdb, machine.console = qemu.gdb, qemu.console
        machine.monitor = tape.wrap("monitor", qemu.monitor, "execute", "wait_event")
        session = DumpSession(
            machine, memory, old_memory, snapshot, HSA, NoSteps(), ConsoleWatch(None)
        )
        deadline = Deadline(SECONDS)
        session.load("ipl", deadline)
        session.take_over(deadline)
        ended = session.run(deadline, SECONDS)
    (into / "session.tape").write_text("".join(f"{line}\n" for line in tape.lines))
    expected = {
        "cpus": [cpu.to_json() for cpu in snapshot.cpus],
        "ended": ended.name,
        "observations": session.observations(),
    }
    (into / "session.json").write_text(json.dumps(expected, indent=1) + "\n")


def main() -> None:
    kernel, into = Path(sys.argv[1]), Path(sys.argv[2])
    into.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        crashed, dumped = Path(scratch, "crash"), Path(scratch, "dump")
        crashed.mkdir()
        dumped.mkdir()
        record(kernel, crash(kernel, crashed), dumped, into)


if __name__ == "__main__":
    main()
