"""The images a plan needs, made ready, and what identifies them in the verdict."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from harness import __version__
from harness.build.images import Images
from harness.build.kernel import Kernel
from harness.build.store import Built
from harness.qemu.binary import QemuBinary
from harness.run.plan import Plan


@dataclass(frozen=True)
class CrashInputs:
    """What the crashed system is made of."""

    kernel: Kernel
    initramfs: Built

    @classmethod
    def prepare(cls, images: Images, plan: Plan) -> CrashInputs:
        """Build, or take from the store; raises BuildError, HostError or UsageError."""
        return cls(images.crashed_kernel(plan.kernel, plan.vmlinux), images.crashed_initramfs())

    def digests(self) -> dict[str, str]:
        """What distinguishes this crashed system from others."""
        return {"kernel": self.kernel.sha256, "initramfs": self.initramfs.key}

    def identity(self) -> dict[str, Any]:
        """JSON: digests and versions."""
        return {
            "crashed kernel": _kernel_identity(self.kernel),
            "crashed initramfs": self.initramfs.key,
        }


@dataclass(frozen=True)
class DumpInputs:
    """What the dump system is made of; ``disk`` is the prepared one, to be copied."""

    kernel: Kernel
    initramfs: Built
    disk: Built

    @classmethod
    def prepare(cls, images: Images, plan: Plan) -> DumpInputs:
        """Build, or take from the store; raises BuildError, HostError or UsageError."""
        kernel = images.dump_kernel(plan.dump_kernel)
        initramfs = images.dump_initramfs(plan.layout)
        disk = images.dump_disk(
            plan.layout,
            plan.memory,
            kernel,
            initramfs,
            plan.dump_parmline,
            size=plan.disk_size,
        )
        return cls(kernel, initramfs, disk)

    def identity(self) -> dict[str, Any]:
        """JSON: digests and versions."""
        return {
            "dump kernel": _kernel_identity(self.kernel),
            "dump initramfs": self.initramfs.key,
            "dump disk": self.disk.key,
        }


def host_identity(binary: QemuBinary) -> dict[str, Any]:
    """JSON: the versions of what the run stands on."""
    return {
        "harness": __version__,
        "QEMU": ".".join(map(str, binary.version)),
        "qemu.qmp": version("qemu.qmp"),
        "Python": platform.python_version(),
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _kernel_identity(kernel: Kernel) -> dict[str, str]:
    return {"release": kernel.release, "sha256": kernel.sha256, "origin": kernel.origin}
