"""One QEMU process with all its connections, from its start to its end."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Self

from harness.deadline import Deadline
from harness.errors import HarnessError, HostError, ProtocolError, QemuDied
from harness.evidence.names import ARGV, CONSOLE
from harness.host.child import dying_with_us
from harness.host.signals import deferred
from harness.qemu.binary import QemuBinary
from harness.qemu.console import Console
from harness.qemu.gdbstub.client import GdbClient, Trace
from harness.qemu.held_cpu import HeldCpu
from harness.qemu.last_words import LastWords
from harness.qemu.monitor import DiskFailed, Event, Monitor
from harness.qemu.ram import GuestRam
from harness.qemu.scheduling import Scheduling, scheduling_of
from harness.qemu.spec import Endpoints, MachineSpec, qemu_argv

HANDSHAKE_SECONDS = 60.0
QUIT_SECONDS = 5.0  # after it QEMU is killed
DEATH_SECONDS = 5.0  # from a lost connection to the process's end
_STDERR_LINES = 5
_SPACE = "free some space, or choose another place with --output"
_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))
# beyond the largest file that QEMU writes: for small files, and for headers of a dump
_FILE_SLACK = 64 << 20


class Qemu:
    """A running QEMU, made by ``Qemu.start``; ``gdb`` and ``held`` only if the spec asks for it."""

    def __init__(
        self,
        process: _Process,
        console: Console,
        monitor: Monitor,
        gdb: GdbClient | None,
        held: HeldCpu | None = None,
    ) -> None:
        self.held = held
        self._process = process
        self.console = console
        self.monitor = monitor
        self.gdb = gdb

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self._process.popen

    @classmethod
    @contextmanager
    def start(
        cls,
        binary: QemuBinary,
        spec: MachineSpec,
        ram: GuestRam,
        directory: Path,
        *,
        name: str,
        on_event: Callable[[Event], None] | None = None,
        on_line: Callable[[str], None] | None = None,
        transcript: Trace | None = None,
    ) -> Iterator[Self]:
        """Run QEMU for the duration of a ``with`` block, with the memory ``ram``.

        Writes ``qemu-argv.json`` and ``console.log`` to the existing ``directory``.
        ``on_event`` and ``on_line`` are called from other threads; ``transcript`` gets all
        traffic with the gdbstub. QEMU dies with the thread that starts it, so start it from
        one that lives long enough: the main thread.

        Raises HostError if QEMU cannot be started, QemuDied if it ends on its own.
        """
        started = time.monotonic()
        stack = ExitStack()
        try:
            with deferred():
                ours, theirs = _socketpairs(stack, spec.gdb)
                console = Console(
                    ours.console,
                    console_path(directory),
                    name=name,
                    started=started,
                    on_line=on_line,
                )
                stack.callback(console.close)
                monitor = Monitor(ours.qmp, name, started=started, on_event=on_event)
                stack.callback(monitor.close)
                held = None if spec.plugin is None else stack.enter_context(HeldCpu())
                fds = theirs.endpoints(ram.fd, held)
                process = _Process(
                    name, qemu_argv(binary, spec, fds), fds, directory, _file_limit(spec)
                )
                stack.callback(process.end)
                theirs.close()
                if held is not None:
                    held.theirs.close()
            try:
                monitor.wait_connected(Deadline(HANDSHAKE_SECONDS))
                gdb = None
                if ours.gdb is not None:
                    gdb = GdbClient(
                        ours.gdb,
                        Deadline(HANDSHAKE_SECONDS),
                        transcript=transcript,
                        peer=f"QEMU {binary.release}",
                    )
                if not spec.paused:
                    monitor.execute("cont", deadline=Deadline(HANDSHAKE_SECONDS))
                yield cls(process, console, monitor, gdb, held)
                process.quit(monitor)
            except QemuDied as error:
                raise process.death() or error from error
            except DiskFailed as error:
                raise _disk_fault(spec, error) from error
        finally:
            try:
                with deferred():
                    stack.close()
            finally:
                stack.close()  # in case an interrupt came before it could be deferred

    def dump_memory(self, path: Path, length: int, deadline: Deadline) -> None:
        """Write all CPUs' registers, and memory up to absolute ``length``, to an ELF core.

        QEMU makes it (``dump-guest-memory``, target/s390x/arch_dump.c). The machine stands still.
        Raises HostError if there is no space for it.
        """
        arguments = {
            "paging": False,
            "protocol": f"file:{path.resolve()}",
            "begin": 0,
            "length": length,
        }
        try:
            self.monitor.execute("dump-guest-memory", arguments, deadline=deadline)
        except ProtocolError as error:  # QEMU gives the reason in words only
            missing = length - path.stat().st_size if path.exists() else length
            if shutil.disk_usage(path.parent).free >= missing:
                raise
            raise HostError(
                f"no space left for {path}: up to {missing} bytes more are needed", hint=_SPACE
            ) from error

    def human_command(self, line: str, deadline: Deadline) -> str:
        """What QEMU's human monitor prints for ``line``."""
        arguments = {"command-line": line}
        return str(self.monitor.execute("human-monitor-command", arguments, deadline=deadline))

    def scheduling(self) -> Scheduling | None:
        """How the host schedules QEMU at this moment; None if it has ended."""
        return scheduling_of(self.process.pid)

    def check(self) -> None:
        """Raise QemuDied, with QEMU's last lines, if QEMU has ended.

        Raise DiskFailed if the host could not read or write a disk.
        """
        self.monitor.check_disks()
        if (self.monitor.lost or self.process.poll() is not None) and (
            death := self._process.death()
        ):
            raise death


def console_path(directory: Path) -> Path:
    """The console log of a QEMU that was started in ``directory``."""
    return directory / CONSOLE


class _Process:
    """The process itself, and its standard error."""

    def __init__(
        self, name: str, argv: list[str], fds: Endpoints, directory: Path, file_limit: int
    ) -> None:
        command = dying_with_us(argv)
        text = json.dumps(argv, indent=1, ensure_ascii=False)
        (directory / ARGV).write_text(text + "\n", encoding="utf-8")
        self._name = name
        self._words = LastWords(name)
        try:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._words.sink,
                stderr=self._words.sink,
                pass_fds=[fd for fd in astuple(fds) if fd is not None],
                # a terminal's Ctrl-C goes to the harness, which then ends QEMU
                start_new_session=True,
            )
        except OSError as error:
            self._words.close()
            raise HostError(f"{argv[0]} cannot be started: {error.strerror}") from error
        self._words.started()
        # before the guest runs: that takes our word
        with suppress(ProcessLookupError):  # who looks at it next is told
            resource.prlimit(self.popen.pid, resource.RLIMIT_CORE, (0, 0))
            resource.prlimit(self.popen.pid, resource.RLIMIT_FSIZE, (file_limit, file_limit))

    def quit(self, monitor: Monitor) -> None:
        """Let QEMU finish its writes and end."""
        with suppress(HarnessError):
            monitor.execute("quit", deadline=Deadline(QUIT_SECONDS))
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(QUIT_SECONDS)

    def end(self) -> None:
        """Kill the process if it still runs."""
        self.popen.kill()
        self.popen.wait()
        self._words.close()

    def death(self) -> QemuDied | None:
        """How QEMU ended; None if it has not."""
        try:
            status = self.popen.wait(DEATH_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        how = f"with exit status {status}" if status >= 0 else f"by {_signal_name(-status)}"
        said = " / ".join(self._words.lines(_STDERR_LINES)) or "nothing"
        return QemuDied(f"QEMU '{self._name}' ended on its own {how}; it said: {said}")


@dataclass(frozen=True)
class _Ends:
    """One end each of the connections between QEMU and us."""

    qmp: socket.socket
    console: socket.socket
    gdb: socket.socket | None

    def endpoints(self, ram: int, held: HeldCpu | None) -> Endpoints:
        gdb = None if self.gdb is None else self.gdb.fileno()
        fds = Endpoints(self.qmp.fileno(), self.console.fileno(), ram, gdb)
        if held is None:
            return fds
        return replace(fds, held=held.theirs.fileno(), control=held.control)

    def close(self) -> None:
        for sock in (self.qmp, self.console, self.gdb):
            if sock is not None:
                sock.close()


def _socketpairs(stack: ExitStack, gdb: bool) -> tuple[_Ends, _Ends]:
    """Our ends and QEMU's, all closed by ``stack`` at the latest."""

    def pair() -> tuple[socket.socket, socket.socket]:
        ends = socket.socketpair()
        for end in ends:
            stack.callback(end.close)
        return ends

    (qmp, their_qmp), (console, their_console) = pair(), pair()
    our_gdb, their_gdb = pair() if gdb else (None, None)
    return _Ends(qmp, console, our_gdb), _Ends(their_qmp, their_console, their_gdb)


def _signal_name(number: int) -> str:
    return signal.Signals(number).name


def _file_limit(spec: MachineSpec) -> int:
    """The maximum size of QEMU's files in bytes, from the sizes of disks and memory."""
    sizes = [disk.path.stat().st_size for disk in spec.disks if disk.path.exists()]
    return max([spec.memory, *sizes]) + _FILE_SLACK


def _disk_fault(spec: MachineSpec, failed: DiskFailed) -> HostError:
    """With the disk's file, and how much of it is not there yet."""
    disk = next((disk for disk in spec.disks if disk.device == failed.device), None)
    if disk is None:
        return failed
    status = disk.path.stat()
    missing = status.st_size - status.st_blocks * _BLOCK
    if failed.no_space:
        return HostError(
            f"no space left for {disk.path}: up to {missing} bytes more are needed",
            hint=_SPACE,
        )
    return HostError(f"{disk.path}, a disk of the machine: {failed.reason}")
