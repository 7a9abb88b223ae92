"""The shape of the evidence files of one run, for the parts that checks use.

The files may come from anybody, so everything is checked. docs/evidence.md describes them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.dump_tools.row import Row
from harness.dump_tools.table import ZFCPDUMP
from harness.evidence.condition import Condition
from harness.evidence.own_dump import OwnDump
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat, Expect

MAX_MEMORY = 1 << 40
MAX_BLOCK = 1 << 16  # hexadecimal digits of an IPL parameter block, which has a page at most

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Block = Annotated[str, Field(pattern="^([0-9a-f]{2})*$", max_length=MAX_BLOCK)]
PathName = Annotated[str, Field(min_length=1, max_length=4096)]


class _Part(BaseModel):
    """A part of a file: other keys are allowed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class VmlinuxFile(_Part):
    """``sha256`` is that of the time when the file was recorded."""

    path: PathName
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class KernelFile(_Part):
    """``release`` is ``uname -r``; ``vmlinux`` is None if it was unknown.

    ``modules`` is the folder below which the files of its modules were.
    """

    release: str | None = None
    vmlinux: VmlinuxFile | None = None
    modules: PathName | None = None


class MachineFile(_Part):
    """crash/machine.json; ``memory`` in bytes."""

    memory: Annotated[int, Field(gt=0, le=MAX_MEMORY)]
    boot_seconds: Seconds | None = None
    content_seed: Annotated[int, Field(ge=0, lt=1 << 64)] | None = None
    trigger: str | None = None
    system: str | None = None  # None in evidence of a minimal system that is older
    kernel: KernelFile | None = None
    condition: Annotated[Condition, Field(strict=False)] | None = None


class OutcomeFile(_Part):
    """dump/outcome.json; ``hsa_size`` in bytes, ``reipl_block`` hexadecimal."""

    outcome: str
    result_line: str | None
    layout: Annotated[DiskLayout, Field(strict=False)]
    hsa_size: Annotated[int, Field(gt=0, le=MAX_MEMORY)]
    hsa_released: bool
    sdias_requests: Count
    refused_after_release: Count
    reipl_block: Block | None
    seconds: Seconds
    qemu_fault: str | None = None
    sdias_outside: Count = 0
    sdias_outside_block: int | None = None
    sdias_not_accepted: Count = 0
    sdias_given_up: Count = 0
    faults: dict[str, Count] = {}


class ReIplFile(_Part):
    """reipl/outcome.json."""

    named: str | None = None
    loaded: bool
    condition: Annotated[Condition, Field(strict=False)] | None = None
    own_dump: Annotated[OwnDump, Field(strict=False)] | None = None


class _Dump(_Part):
    """``format`` is None if the scenario asks for none: the dump disk is the user's."""

    format: Annotated[DumpFormat, Field(strict=False)] | None = None
    parmline: str = ""


class _Faults(_Part):
    inject: list[str] = []


class _Scenario(_Part):
    expect: Annotated[Expect, Field(strict=False)]
    dump: _Dump
    faults: _Faults = _Faults()


class _Plan(_Part):
    scenario: _Scenario


class GivenDiskFile(_Part):
    """A dump disk that the user gave; ``parmline`` is that in its boot map."""

    parmline: str | None = None


class _Inputs(_Part):
    dump_tool: Row = Field(Row(name=ZFCPDUMP.name), alias="dump tool", strict=False)
    crashed_kernel: KernelFile | None = Field(None, alias="crashed kernel")
    dump_kernel: KernelFile | None = Field(None, alias="dump kernel")
    dump_disk: GivenDiskFile | str | None = Field(None, alias="dump disk")

    @property
    def dump_vmlinux(self) -> VmlinuxFile | None:
        return None if self.dump_kernel is None else self.dump_kernel.vmlinux

    @property
    def dump_release(self) -> str | None:
        return None if self.dump_kernel is None else self.dump_kernel.release


class RunFile(_Part):
    """run.json."""

    plan: _Plan
    inputs: _Inputs = _Inputs()

    @property
    def parmline(self) -> str:
        """The dump tool's parameters: those of the scenario, or those on a disk of the user."""
        disk = self.inputs.dump_disk
        if isinstance(disk, GivenDiskFile):
            return disk.parmline or ""
        return self.plan.scenario.dump.parmline
