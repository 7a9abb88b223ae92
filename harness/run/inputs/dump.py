"""The images of the dump system, and their identities for the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness.dump_tools.tool import DumpTool
from harness.errors import UsageError
from harness.host.paths import require_file
from harness.images.debian.packages import FILE_SYSTEMS, FOR_ALL_IMAGES, zipl_set
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.kernel.spec import reading_kernel
from harness.images.needs import Wanted
from harness.images.provide import Images
from harness.images.store import Built
from harness.images.zipl.choice import is_path
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.plan import Plan
from harness.scenario.model import Dump

_RDINIT = "rdinit="  # the kernel's parameter that names another program than /init


@dataclass(frozen=True)
class DumpInputs:
    """The images of the dump system; ``disk`` is the prepared one, which is copied.

    ``initramfs`` is on the disk or in the kernel; None if a kernel that is given has its own. If
    the user gives the disk, there is nothing to prepare.
    """

    kernel: Kernel | None
    initramfs: Built | None
    disk: Built | None
    tool: ChosenTool

    @staticmethod
    def wanted(plan: Plan) -> Wanted:
        """What they are built of."""
        dump = plan.scenario.dump
        kernels = () if dump.kernel or dump.disk else (dump.kernel_spec,)
        zipl = () if dump.zipl is None or is_path(dump.zipl) else (zipl_set(dump.zipl),)
        files = (FILE_SYSTEMS,) if dump.layout.boots_from_beside else ()
        reading = (reading_kernel(dump.layout),) if dump.layout.boots_from_beside else ()
        kernels = tuple(dict.fromkeys((*kernels, *reading)))
        return Wanted(kernels, (*FOR_ALL_IMAGES, *zipl, *files), machine=True)

    @classmethod
    def prepare(cls, images: Images, plan: Plan) -> DumpInputs:
        """Build, or take from the store; raises BuildError, HostError or UsageError."""
        images.provide(cls.wanted(plan))
        dump = plan.scenario.dump
        chosen = ChosenTool.of(dump)
        if dump.disk is not None:
            require_file(dump.disk, "dump disk")
            return cls(None, None, None, chosen)
        told = chosen.tool.parameters(dump.format, dump.layout, chosen.parmline(dump))
        initramfs = _ramdisk(images, dump, chosen.tool, told.ramdisk)
        spec = dump.kernel_spec
        if dump.built_in and initramfs is not None:
            spec = replace(spec, built_in=initramfs.path / IMAGE)
        kernel = images.dump_kernel(dump.kernel, spec)
        disk = images.dump_disk(
            dump.layout,
            plan.scenario.crashed.memory,
            kernel,
            None if dump.built_in else initramfs,
            told.parmline,
            size=dump.disk_size,
            sector_size=dump.sector_size,
            place=dump.place,
            zipl=dump.zipl,
        )
        return cls(kernel, initramfs, disk, chosen)

    def identity(self) -> dict[str, Any]:
        """JSON: digests and versions."""
        tool = {"dump tool": self.tool.to_json()}
        if self.kernel is None or self.disk is None:
            return tool
        return {
            **tool,
            "dump kernel": self.kernel.identity(),
            "dump initramfs": None if self.initramfs is None else self.initramfs.key,
            "dump disk": self.disk.key,
            "zipl": self.disk.manifest["zipl"],
        }


def _ramdisk(images: Images, dump: Dump, tool: DumpTool, parameters: str) -> Built | None:
    """The tool's ramdisk; None if it is in the kernel that is given."""
    if not dump.built_in or dump.kernel is None:
        return images.dump_initramfs(
            dump.layout,
            parameters,
            tool,
            given=dump.initramfs,
            program=dump.program,
            room=dump.hsa_size,
            with_init=_RDINIT not in dump.parmline,
        )
    if parameters:
        raise UsageError(
            f"the dump tool cannot be told {parameters}: its ramdisk is in {dump.kernel}",
            hint="choose a file system layout, such as --disk-layout ext4",
        )
    return None
