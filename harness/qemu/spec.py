"""From the description of a machine to QEMU's command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.qemu.binary import MACHINE_TYPE, SANDBOX, QemuBinary
from harness.qemu.disk import Disk
from harness.qemu.held_cpu import option
from harness.qemu.network import network_options
from harness.s390x.wiring import HBA_DEVNO


@dataclass(frozen=True)
class Trace:
    """QEMU writes a line for each of these ``events`` to the new file ``path`` (QEMU trace.rst)."""

    events: tuple[str, ...]
    path: Path


@dataclass(frozen=True)
class MachineSpec:
    """One machine: ``memory`` in bytes, ``cpus`` all online.

    ``kernel``, ``initrd`` and ``append`` boot directly; without a kernel the boot disk is IPLed.
    ``disks`` are on one virtio-scsi HBA (see ``harness.s390x.wiring``). A ``paused`` machine waits
    for its first resume. ``gdb`` gives it a gdbstub, which must resume the machine itself, so it
    needs ``paused``. ``loadparm`` tells the boot firmware which program to load; by default the
    first one. ``network`` gives it the way to its SSH server (see ``harness.qemu.network``). An
    ``incoming`` machine has no state until it gets one (``harness.qemu.migration``). ``trace``
    records what QEMU does. ``plugin`` is the one that holds a CPU (``harness.qemu.held_cpu``).
    """

    memory: int
    cpus: int
    cpu_model: str = "max"
    kernel: Path | None = None
    initrd: Path | None = None
    append: str | None = None
    disks: tuple[Disk, ...] = ()
    paused: bool = False
    gdb: bool = False
    loadparm: str = ""
    network: bool = False
    incoming: bool = False
    trace: Trace | None = None
    plugin: Path | None = None

    def __post_init__(self) -> None:
        if self.gdb and not self.paused:
            raise ValueError("a machine with a gdbstub has to start paused")
        if self.incoming and not self.paused:
            raise ValueError("a machine that waits for its state has to start paused")


@dataclass(frozen=True)
class Endpoints:
    """File descriptors that QEMU inherits: connected sockets, and the guest's memory.

    ``held`` and ``control`` are for the plugin.
    """

    qmp: int
    console: int
    ram: int
    gdb: int | None = None
    held: int | None = None
    control: int | None = None


def qemu_argv(binary: QemuBinary, spec: MachineSpec, fds: Endpoints) -> list[str]:
    """QEMU's argument list for ``spec``, of a machine that waits for its first resume.

    Pure: opens and checks nothing.
    Written for QEMU 7.2 (qemu-options.hx); nothing in it names a socket or memory file.
    """
    argv = [
        str(binary.path),
        *(SANDBOX if binary.sandbox else ()),
        # only what is listed here: no user files, no default devices, no window
        "-no-user-config",
        "-nodefaults",
        "-nographic",
        # guest memory is a shared memory file, so that the harness can read and write it
        *("-machine", f"{MACHINE_TYPE},memory-backend=ram0{_loadparm(spec)}"),
        *("-object", _ram_backend(spec, fds)),
        *("-m", f"size={spec.memory}B"),
        # TCG has read watchpoints and is the same on every host
        *("-accel", "tcg"),
        *("-cpu", spec.cpu_model),
        *("-smp", f"cpus={spec.cpus}"),
        # a guest that panics or powers off stays as it is and can be looked at;
        # a reset stays a reset, so that QMP tells it as RESET
        *("-action", "panic=pause,shutdown=pause,reboot=reset"),
        *("-chardev", f"socket,id=qmp,fd={fds.qmp}"),
        *("-mon", "chardev=qmp,mode=control"),
        # the first serial line is the SCLP VT220 console, ttysclp0 (hw/s390x/s390-virtio-ccw.c)
        *("-chardev", f"socket,id=con,fd={fds.console}"),
        *("-serial", "chardev:con"),
        # nothing runs before QMP is ready, so that an early panic is reported
        "-S",
    ]
    if fds.gdb is not None:
        # not "gdb": QEMU calls that of the monitor's command gdbserver so (gdbstub.c)
        argv += ["-chardev", f"socket,id=stub,fd={fds.gdb}"]
        argv += ["-gdb", "chardev:stub"]
    if spec.plugin is not None:
        told = {"control": fds.control, "socket": fds.held, "ram": fds.ram, "size": spec.memory}
        argv += ["-plugin", option(spec.plugin, **told)]
    argv += network_options() if spec.network else []
    if spec.incoming:
        argv += ["-incoming", "defer"]
    if spec.trace is not None:
        argv += ["-D", str(spec.trace.path)]
        argv += [word for event in spec.trace.events for word in ("-trace", f"enable={event}")]
    return argv + _boot_options(spec) + _disk_options(spec)


def _loadparm(spec: MachineSpec) -> str:
    return f",loadparm={spec.loadparm}" if spec.loadparm else ""


def _ram_backend(spec: MachineSpec, fds: Endpoints) -> str:
    path = f"/proc/self/fd/{fds.ram}"
    return f"memory-backend-file,id=ram0,size={spec.memory},mem-path={path},share=on"


def _boot_options(spec: MachineSpec) -> list[str]:
    options: list[str] = []
    if spec.kernel is not None:
        options += ["-kernel", str(spec.kernel)]
    if spec.initrd is not None:
        options += ["-initrd", str(spec.initrd)]
    if spec.append is not None:
        options += ["-append", spec.append]
    return options


def _disk_options(spec: MachineSpec) -> list[str]:
    if not spec.disks:
        return []
    hba = ["-device", f"virtio-scsi-ccw,id=hba,devno=fe.0.{HBA_DEVNO:04x}"]
    return hba + [option for disk in spec.disks for option in disk.options()]
