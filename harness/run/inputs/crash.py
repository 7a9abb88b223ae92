"""The images of the system that crashes, and their identities for the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.images.debian.packages import FOR_ALL_IMAGES
from harness.images.disk import DISK
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.kernel.spec import distribution_suite
from harness.images.needs import Wanted
from harness.images.provide import Images
from harness.images.store import Built
from harness.machine.system.bootable import Bootable
from harness.machine.system.crash import Crash
from harness.qemu.binary import QemuBinary
from harness.qemu.spec import MachineSpec
from harness.run.inputs.full_system import FullSystem
from harness.run.plan import Plan
from harness.scenario.crashed import Load
from harness.ssh.handshake import Login
from harness.triggers.trigger import ZCRASH


@dataclass(frozen=True)
class CrashInputs:
    """The images of the crashed system.

    A minimal one is ``kernel`` and ``initramfs``, and has a ``disk`` if it is loaded from it. A
    ``full`` one is a disk; ``kernel`` is that of the disk, or the one that QEMU loads.
    """

    kernel: Kernel
    initramfs: Built | None
    disk: Built | None
    full: FullSystem | None = None

    @staticmethod
    def wanted(plan: Plan) -> Wanted:
        """What they are built of."""
        crashed = plan.scenario.crashed
        if crashed.is_full:
            return FullSystem.wanted(crashed)
        kernels = () if crashed.kernel else (crashed.kernel_spec,)
        suite = distribution_suite(str(crashed.kernel))
        return Wanted(
            kernels,
            FOR_ALL_IMAGES,
            machine=True,
            distributions=() if suite is None else (suite,),
        )

    @classmethod
    def prepare(cls, images: Images, plan: Plan) -> CrashInputs:
        """Build, or take from the store; raises BuildError, HostError or UsageError."""
        plan.crash.identity()  # a mistake in the workload shows here
        images.provide(cls.wanted(plan))
        crashed = plan.scenario.crashed
        if crashed.is_full:
            with_module = ZCRASH[0] in plan.crash.trigger.setup
            full = FullSystem.prepare(images, crashed, plan.parmline, with_module=with_module)
            return cls(full.kernel, None, None, full)
        kernel = images.crashed_kernel(crashed.kernel, crashed.vmlinux, crashed.kernel_spec)
        initramfs = images.crashed_initramfs(kernel, with_content=crashed.content is not None)
        disk = None
        if crashed.load is Load.SCSI:
            disk = images.system_disk(kernel, initramfs, plan.parmline)
        return cls(kernel, initramfs, disk)

    def bootable(self, plan: Plan) -> Bootable:
        """The machine and its system; QEMU itself loads it, unless there is a disk to IPL."""
        if self.full is not None:
            full = self.full
            disk, login, direct = full.disk, full.login, full.direct
            return Bootable(self._spec(plan), disk, login=login, direct=direct)
        return Bootable(self._spec(plan), None if self.disk is None else self.disk.path / DISK)

    def _spec(self, plan: Plan) -> MachineSpec:
        crashed = plan.scenario.crashed
        if self.full is None:
            assert self.initramfs is not None
            initrd: Path | None = self.initramfs.path / IMAGE
            append = plan.parmline
        else:
            initrd, append = self.full.initrd, self.full.parmline
        return MachineSpec(
            memory=crashed.memory,
            cpus=crashed.smp,
            cpu_model=crashed.cpu_model,
            kernel=self.kernel.image,
            initrd=initrd,
            append=append,
        )

    def crash(self, plan: Plan) -> Crash:
        """How the system is crashed; a full one gets its kernel's module over SSH."""
        how = plan.crash
        needs_module = self.full is not None and ZCRASH[0] in how.trigger.setup
        return replace(how, module=self.kernel.module) if needs_module else how

    @property
    def login(self) -> Login | None:
        """How to log in to a full system."""
        return None if self.full is None else self.full.login

    def digests(self, binary: QemuBinary) -> dict[str, str]:
        """Digests that identify this crashed system in this QEMU."""
        digests = {"kernel": self.kernel.sha256, "qemu": binary.identity()}
        if self.full is not None:
            return {**digests, **self.full.digests}
        assert self.initramfs is not None
        digests["initramfs"] = self.initramfs.key
        return digests if self.disk is None else digests | {"disk": self.disk.key}

    def identity(self) -> dict[str, Any]:
        """JSON: digests and versions."""
        kernel = {"crashed kernel": self.kernel.identity()}
        if self.full is not None:
            return {**kernel, "crashed system": dict(self.full.identity)}
        return {
            **kernel,
            "crashed initramfs": None if self.initramfs is None else self.initramfs.key,
            "crashed system's disk": None if self.disk is None else self.disk.key,
        }
