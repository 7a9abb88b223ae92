"""The builder guest: a small machine in which the real zipl prepares a disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import BuildError, ZiplRefused
from harness.images.guest_job import keep_console, run_job
from harness.images.initramfs.build import (
    BUILDER,
    IMAGE,
    PAYLOAD,
    PAYLOAD_RAMDISK,
    cpio_of,
    initramfs,
)
from harness.images.kernel.build import Kernel
from harness.images.store import Built, Store
from harness.images.zipl.chosen import Zipl
from harness.progress import Progress
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.s390x.disk_layout import DiskLayout

MEMORY = 256 << 20
SECONDS = 120.0
JOB = "builder"


@dataclass(frozen=True)
class BootFiles:
    """What the disk will load; there is no ramdisk if the kernel has an initramfs built in."""

    kernel: Path
    ramdisk: Path | None
    parmline: str


def builder_initramfs(store: Store, progress: Progress, zipl: Zipl | None = None) -> Built:
    """The initramfs of the builder guest; ``key`` identifies zipl and how it is called.

    Without ``zipl`` it has that of the images' own packages.
    """
    files = () if zipl is None else zipl.files
    return initramfs(store, progress, "initramfs-builder", BUILDER, more=files)


def run_zipl(
    guest: Built,
    host_kernel: Kernel,
    disk: Disk,
    layout: DiskLayout,
    boot: BootFiles,
    log: Path,
    number: int = 1,
    zipl: Zipl | None = None,
) -> None:
    """Make partition ``number`` of ``disk`` bootable for ``layout``, in place.

    ``host_kernel`` and ``guest`` run in the builder; its console is appended to ``log``.
    Raises BuildError with zipl's own words if it fails or does not end: ZiplRefused if that is
    ``zipl``, which ``guest`` was made with.
    """
    with TemporaryDirectory(prefix="builder-", dir=log.parent) as name:
        directory = Path(name)
        spec = MachineSpec(
            memory=MEMORY,
            cpus=1,
            kernel=host_kernel.image,
            initrd=_initrd(guest, boot, directory),
            # the script scans for the one disk: 256 targets take 15 s
            append="console=ttysclp0 panic=0 quiet scsi_mod.scan=manual "
            f"builder.layout={layout} builder.number={number}",
            disks=(disk,),
        )
        try:
            complaint = run_job(spec, directory, JOB, SECONDS)
        finally:
            keep_console(directory, log)
    if complaint is not None and zipl is not None:
        raise ZiplRefused(f"{zipl.name} refused to prepare the {layout} disk: {complaint}")
    if complaint is not None:
        raise BuildError(f"zipl did not prepare the {layout} disk: {complaint}")


def _initrd(guest: Built, boot: BootFiles, directory: Path) -> Path:
    """The guest's initramfs, followed by the disk's boot files in an uncompressed archive."""
    parmfile, initrd = directory / "parmfile", directory / "initrd"
    parmfile.write_text(boot.parmline)
    variables = {
        "KERNEL": str(boot.kernel),
        "RAMDISK": str(boot.ramdisk),
        "PARMFILE": str(parmfile),
    }
    lists = PAYLOAD if boot.ramdisk is None else PAYLOAD + PAYLOAD_RAMDISK
    initrd.write_bytes((guest.path / IMAGE).read_bytes() + cpio_of(lists, variables))
    return initrd
