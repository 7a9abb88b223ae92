"""Record sessions of a real QEMU for ``test_dump_session.py`` and ``test_system_session.py``.

    python -m tests.replay.record DIRECTORY

The kernel of the dump session panics twice because it has no root file system: first as the crashed
system, then as the dump system. By then the dump system has used every function that the harness
plays. That keeps the recording short. The system session has a system that is loaded from its own
disk and requests its dump.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from harness.deadline import Deadline
from harness.dump.formats.elf.reader import ElfDump
from harness.dump_tools.table import ZFCPDUMP
from harness.evidence.names import RAM
from harness.evidence.snapshot import Snapshot
from harness.files import sparse
from harness.firmware.load import dump_load, ordinary_load
from harness.host.paths import default_store
from harness.images.disk import DISK
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.old_memory import OldMemory
from harness.machine.dump_load.session import DumpSession
from harness.machine.system.boot import boot
from harness.machine.system.console import SystemConsole
from harness.machine.system.running import RunningSystem
from harness.machine.system.session import SystemSession
from harness.machine.system.stop import stop
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.disk import Disk
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.run.plan import CRASH_PARMLINE, DISK_PARMLINE
from harness.s390x.ipl import fcp_block
from harness.s390x.wiring import DUMP_DISK, SYSTEM_DISK
from harness.triggers.table import trigger_named
from tests.replay.tape import Recorder
from tests.support.qemu.gdb_transcript import Recorder as GdbRecorder

MEMORY = 128 << 20
HSA = 32 << 20
SECONDS = 60.0
PARMLINE = "console=ttysclp0 panic=0"


class NoPhases:
    """An observer that does nothing."""

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
        machine.held = None
        machine.scheduling = lambda: None  # as in the replay: it depends on time
        machine.monitor = tape.wrap("monitor", qemu.monitor, "execute", "wait_event")
        block = fcp_block(DUMP_DISK, dump=True)
        firmware = dump_load(memory, block, old_memory, snapshot.cpus, HSA)
        session = DumpSession(
            machine, memory, firmware, old_memory, snapshot, HSA, NoPhases(), ConsoleWatch(ZFCPDUMP)
        )
        deadline = Deadline(SECONDS)
        session.load("ipl", deadline)
        session.take_over()
        ended = session.run(deadline, SECONDS)
    (into / "session.tape").write_text("".join(f"{line}\n" for line in tape.lines))
    expected = {
        "cpus": [cpu.to_json() for cpu in snapshot.cpus],
        "ended": ended.name,
        "observations": session.observations(),
    }
    (into / "session.json").write_text(json.dumps(expected, indent=1) + "\n")


def record_system(images: Images, scratch: Path, into: Path) -> None:
    """From the load to the system's request for a dump; ``played`` counts stops until it is up."""
    tape = Recorder()
    trigger = trigger_named("panic-dump")
    kernel = images.crashed_kernel()
    disk = scratch / "system.img"
    ramdisk = images.crashed_initramfs(kernel)
    parmline = f"{CRASH_PARMLINE} {DISK_PARMLINE}"
    sparse.copy(images.system_disk(kernel, ramdisk, parmline).path / DISK, disk)
    disks = (Disk.of_system(disk),)
    spec = MachineSpec(memory=MEMORY, cpus=1, disks=disks, paused=True, gdb=True)
    with (
        (into / "system.gdb").open("w") as transcript,
        GuestRam.create(MEMORY) as ram,
        Qemu.start(
            find_qemu(), spec, ram, scratch, name="system", transcript=GdbRecorder(transcript)
        ) as qemu,
    ):
        machine = tape.wrap("qemu", qemu, "check")
        machine.gdb, machine.console = qemu.gdb, qemu.console
        machine.held = None
        machine.monitor = tape.wrap("monitor", qemu.monitor, "execute")
        memory = tape.wrap("ram", ram, "read", "write")
        firmware = ordinary_load(memory, fcp_block(SYSTEM_DISK, dump=False))
        session = CountingSession(machine, memory, firmware, NoPhases())
        console = SystemConsole(qemu, session)
        deadline = Deadline(SECONDS)
        shell = boot(console, session, "boot", deadline)
        played = session.stops
        for command in trigger.setup:
            shell.run(command, deadline)
        system = RunningSystem(qemu, ram, session, console, shell)
        stop(system, trigger, NoPhases(), deadline)
    # only stops for the firmware: checks of a silent machine depend on time
    lines = [line for line in tape.lines if '"qemu.check"' not in line]
    (into / "system.tape").write_text("".join(f"{line}\n" for line in lines))
    expected = {"played": played, "stops": session.stops, "block": session.ipl_block.hex()}
    (into / "system.json").write_text(json.dumps(expected, indent=1) + "\n")


class CountingSession(SystemSession):
    """Counts the stops that were handled."""

    stops = 0

    def handle(self, stop: StopReply) -> bool:
        self.stops += 1
        return super().handle(stop)


def main() -> None:
    into = Path(sys.argv[1])
    into.mkdir(exist_ok=True)
    images = Images(Store(default_store(), NoProgress()), NoProgress())
    kernel = images.dump_kernel().image
    with tempfile.TemporaryDirectory() as scratch:
        crashed, dumped = Path(scratch, "crash"), Path(scratch, "dump")
        crashed.mkdir()
        dumped.mkdir()
        record(kernel, crash(kernel, crashed), dumped, into)
        record_system(images, Path(scratch), into)


if __name__ == "__main__":
    main()
