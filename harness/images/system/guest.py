"""The guest that works on the disk of a full system, with the distribution's own kernel.

Its /init is ``images/system/init``. That runs ``images/system/JOB`` in the root file system on the
disk.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import BuildError
from harness.host.paths import data_dir
from harness.images.guest_job import keep_console, run_job
from harness.images.initramfs import cpio
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec
from harness.s390x.wiring import SYSTEM_LUN

LIST = "system/system.list"
MEMORY = 1 << 30
_NAME = "system"
_PAYLOAD_LUN = SYSTEM_LUN + 1


class Job(StrEnum):
    """What the guest does; the name of a script in ``images/system``."""

    CONFIGURE = "configure"
    INSTALL = "install"

    @property
    def script(self) -> str:
        """The text of the script."""
        return (_scripts() / self).read_text()


def init_script() -> str:
    """The text of the guest's /init."""
    return (_scripts() / "init").read_text()


def _scripts() -> Path:
    return data_dir() / "images" / "system"


@dataclass(frozen=True)
class SystemGuest:
    """``kernel`` is that of the distribution, ``initrd`` has its drivers."""

    kernel: Path
    initrd: Path

    def run(
        self,
        job: Job,
        disk: Path,
        log: Path,
        seconds: float,
        *,
        payload: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Do ``job`` on ``disk``, in place; ``payload`` is a tar archive for it.

        The guest's console is appended to ``log``, and ``on_line`` gets its lines, from another
        thread. Raises BuildError with the guest's complaint.
        """
        disks = [Disk(disk, lun=SYSTEM_LUN)]
        if payload is not None:
            disks.append(Disk(payload, lun=_PAYLOAD_LUN, read_only=True))
        with TemporaryDirectory(prefix="system-", dir=log.parent) as name:
            spec = MachineSpec(
                memory=MEMORY,
                cpus=1,
                kernel=self.kernel,
                initrd=self._with_script(job, Path(name)),
                append=f"console=ttysclp0 panic=0 quiet system.job={job} system.disks={len(disks)}",
                disks=tuple(disks),
            )
            try:
                complaint = run_job(spec, Path(name), _NAME, seconds, on_line)
            finally:
                keep_console(Path(name), log)
        if complaint is not None:
            raise BuildError(f"the system's disk was not made ({job}): {complaint}")

    def _with_script(self, job: Job, directory: Path) -> Path:
        """The initramfs, followed by an archive with the job's script."""
        archive = cpio.archive(
            (
                cpio.Entry("jobs", stat.S_IFDIR | 0o755),
                cpio.Entry(f"jobs/{job}", stat.S_IFREG | 0o755, job.script.encode()),
            )
        )
        initrd = directory / "initrd"
        initrd.write_bytes(self.initrd.read_bytes() + archive)
        return initrd
