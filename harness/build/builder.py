"""The builder guest: a small machine in which the real zipl prepares a disk."""

from __future__ import annotations

from pathlib import Path

import pexpect

from harness.build.initramfs import BUILDER, IMAGE, initramfs
from harness.build.kernel import Kernel
from harness.build.layout import DiskLayout
from harness.build.store import Store
from harness.deadline import Deadline
from harness.errors import BuildError, QemuDied
from harness.progress import Progress
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import Disk, MachineSpec

MEMORY = 256 << 20
SECONDS = 120.0
RESULT = ["zharness builder: ok", "zharness builder: failed"]
TAIL_LINES = 8


def run_zipl(
    store: Store,
    progress: Progress,
    disk: Path,
    layout: DiskLayout,
    *,
    host_kernel: Kernel,
    kernel: Kernel,
    ramdisk: Path,
    parmfile: Path,
    log: Path,
) -> None:
    """Make the first partition of ``disk`` bootable for ``layout``, in place.

    ``host_kernel`` runs the guest; ``kernel`` and ``ramdisk`` are what the disk will load.
    Raises BuildError with zipl's own words if it fails or does not end.
    """
    variables = {
        "KERNEL": str(kernel.image),
        "RAMDISK": str(ramdisk),
        "PARMFILE": str(parmfile),
    }
    guest = initramfs(store, progress, "initramfs-builder", BUILDER, variables)
    spec = MachineSpec(
        memory=MEMORY,
        cpus=1,
        kernel=host_kernel.image,
        initrd=guest.path / IMAGE,
        append=f"console=ttysclp0 panic=0 quiet builder.layout={layout}",
        disks=(Disk(disk),),
    )
    deadline = Deadline(SECONDS)
    with (
        GuestRam.create(MEMORY) as ram,
        Qemu.start(find_qemu(), spec, ram, log.parent, name="builder") as qemu,
    ):
        try:
            succeeded = qemu.console.expect_exact(RESULT, timeout=deadline.remaining) == 0
        except pexpect.TIMEOUT:
            succeeded = False
        except pexpect.EOF:
            qemu.check()
            raise QemuDied("the builder guest's console ended early") from None
        said = qemu.console.tail(TAIL_LINES)
        if succeeded and qemu.monitor.wait_event(("SHUTDOWN", "GUEST_PANICKED"), deadline) is None:
            succeeded = False
    (log.parent / "console.log").rename(log)
    (log.parent / "qemu-argv.json").unlink()
    if not succeeded:
        raise BuildError(f"zipl did not prepare the {layout} disk; it said: {' / '.join(said)}")
