"""The schema of a scenario file; docs/scenarios.md is its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from harness.build.layout import DiskLayout
from harness.scenario.sizes import format_size, parse_size

MIB = 1 << 20
MIN_MEMORY = 128 * MIB
MIN_HSA = 16 * MIB
MAX_CPUS = 64  # CONFIG_NR_CPUS of the crashed kernel

Size = Annotated[int, BeforeValidator(lambda value: parse_size(str(value)))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Crashed(_Strict):
    """The system that crashes."""

    memory: Size = Field(512 * MIB, ge=MIN_MEMORY, multiple_of=MIB, description="main storage")
    cpus: int = Field(2, ge=1, le=MAX_CPUS, description="number of CPUs")
    cpu_model: str = Field("max", description="QEMU CPU model")
    trigger: str = Field("sysrq-c", description="how it is made to crash")
    kernel: Path | None = Field(None, description="kernel image; default: the harness's own")
    vmlinux: Path | None = Field(None, description="that kernel's vmlinux")
    parmline: str = Field("", description="added to the crashed system's kernel parameters")


class Dump(_Strict):
    """The machine and the system that dump it."""

    hsa_size: Size = Field(64 * MIB, ge=MIN_HSA, multiple_of=MIB, description="size of the HSA")
    layout: DiskLayout = Field(DiskLayout.PARTITION, description="layout of the dump disk")
    disk_size: Size | None = Field(None, multiple_of=4096, description="default: as needed")
    kernel: Path | None = Field(None, description="kernel image; default: the harness's own")
    parmline: str = Field("", description="added to the dump tool's kernel parameters")


class Scenario(_Strict):
    """One scenario. Its name is that of its file."""

    description: str = Field(min_length=1, description="one line for people")
    crashed: Crashed = Crashed()
    dump: Dump = Dump()

    @model_validator(mode="after")
    def _hsa_within_memory(self) -> Scenario:
        if self.dump.hsa_size >= self.crashed.memory:
            raise ValueError(
                f"dump.hsa_size: an HSA of {format_size(self.dump.hsa_size)} does not fit a memory "
                f"of {format_size(self.crashed.memory)}"
            )
        return self
