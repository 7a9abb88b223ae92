"""A guest that makes and reads file systems which only Linux itself knows: XFS and btrfs.

debugfs reads an ext file system in an image. For the others the host would need a driver, and root;
and a file system is data of others. So Linux mounts it in a guest, and copies the dumps in it to
a new disk with an ext4 file system, from which they are read like any others.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from harness.deadline import Deadline
from harness.errors import BuildError, HostError
from harness.images.command import Tools
from harness.images.debian.packages import FILE_SYSTEMS, ROOT, unpacked
from harness.images.ext import FIXED, make_file_system
from harness.images.guest_job import keep_console, run_job
from harness.images.initramfs.build import FILES, IMAGE, initramfs
from harness.images.kernel.build import Kernel
from harness.images.partitions import Placement
from harness.images.store import Built, Store
from harness.progress import Progress
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.zipl import BLOCK_SIZE

MEMORY = 512 << 20
JOB = "files"
UUID = "7a686172-6e65-7373-2064-66696c657321"  # not that of the boot files' partition
SECONDS, BYTES_PER_SECOND = 120.0, 5 << 20  # a copy on a slow host
_ROOM = 2  # times the dump disk: holes of a dump become blocks


def files_guest(store: Store, progress: Progress) -> Built:
    """The guest's initramfs."""
    packages = unpacked(store, progress, FILE_SYSTEMS)
    variables = {"FILES": str(packages.path / ROOT)}
    return initramfs(store, progress, "initramfs-files", FILES, variables)


def make_in_guest(
    guest: Built, kernel: Kernel, disk: Path, layout: DiskLayout, number: int, log: Path
) -> None:
    """Make the file system ``layout`` on partition ``number``, in place; raises BuildError.

    ``kernel`` needs no driver for it. The guest's console is appended to ``log``.
    """
    job = f"files.job=make files.uuid={UUID}"
    complaint = _run(guest, kernel, (Disk(disk),), job, layout, number, log, SECONDS)
    if complaint is not None:
        raise BuildError(f"a {layout} file system was not made: {complaint}")


def copy_dumps(
    guest: Built,
    kernel: Kernel,
    disk: Path,
    layout: DiskLayout,
    place: Placement,
    directory: str,
    into: Path,
) -> str | None:
    """Copy each dump.N in ``directory`` of the partition to the new disk image ``into``.

    There it has the same path, on an ext4 partition at the same ``place``. ``kernel`` has the
    driver; it replays the file system's journal. Returns the guest's complaint if the
    file system cannot be mounted or read. Raises HostError if the guest does not end in time.
    """
    log = into.with_suffix(".log")
    size = _ROOM * disk.stat().st_size
    tools = Tools(log, "a disk for dumps", FIXED)
    with into.open("xb") as file:
        file.truncate(size)
    place.write(into, BLOCK_SIZE, tools)
    start, length = place.start, place.size(size)
    make_file_system(into, DiskLayout.EXT4, start, length, BLOCK_SIZE, tools)
    disks = (Disk(disk), Disk(into, lun=1))
    deadline = Deadline(SECONDS + size / BYTES_PER_SECOND)
    job = f"files.job=copy files.directory={directory}"
    complaint = _run(guest, kernel, disks, job, layout, place.number, log, deadline.remaining)
    if complaint is not None and deadline.expired:
        raise HostError(f"the dumps on the {layout} file system were not copied: {complaint}")
    return complaint


def _run(
    guest: Built,
    kernel: Kernel,
    disks: tuple[Disk, ...],
    job: str,
    layout: DiskLayout,
    number: int,
    log: Path,
    seconds: float,
) -> str | None:
    with TemporaryDirectory(prefix="files-", dir=log.parent) as name:
        spec = MachineSpec(
            memory=MEMORY,
            cpus=1,
            kernel=kernel.image,
            initrd=guest.path / IMAGE,
            append="console=ttysclp0 panic=0 quiet scsi_mod.scan=manual "
            f"{job} files.type={layout} files.number={number}",
            disks=disks,
        )
        try:
            return run_job(spec, Path(name), JOB, seconds)
        finally:
            keep_console(Path(name), log)
