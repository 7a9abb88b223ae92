"""The schema of a scenario file; docs/scenarios.md is its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    Field,
    model_validator,
)

from harness.faults.fault import Fault, Promise
from harness.faults.table import fault_of, promise_of
from harness.images.kernel.spec import KernelSpec, Role, driver_of
from harness.images.partitions import MOST, Neighbour, PartitionTable, Placement
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.ipl import SCP_DATA_BYTES, LoadParameters
from harness.s390x.lowcore import PAGE_SIZE
from harness.s390x.wiring import DUMP_LUN, MOST_LUN
from harness.s390x.zipl import BLOCK_SIZE
from harness.scenario.crashed import MIB, Crashed, Load
from harness.scenario.expect import DumpFormat, Expect
from harness.scenario.fields import (
    ConfigurationLine,
    FaultText,
    SectorSize,
    Size,
    Wwpn,
    ZiplChoice,
)
from harness.scenario.options import Option, options_of
from harness.scenario.sizes import format_size
from harness.scenario.strict import Strict
from harness.scenario.used_disk import Answer, Damage
from harness.scenario.with_kernel import CONFIG, KERNEL, PATCHES, SOURCE, WithKernel
from harness.schema_words import did_you_mean

MIN_HSA, MAX_HSA = 16 * MIB, 2048 * MIB
# the least HSA that the default dump kernel (6.12, with its ramdisk) was seen to dump from; with
# 1 MiB less it panics: "System is deadlocked on memory"
LEAST_HSA, LEAST_HSA_FILE_SYSTEM = 26 * MIB, 28 * MIB
MOST_OLDER_DUMPS = 8
MOST_FAULTS = 64

# what a disk that is prepared already has
OF_DISK = frozenset(
    {
        *("kernel", "source", "patches", "config", "initramfs", "program", "built_in"),
        *("parmline", "layout", "disk_size", "table", "zipl"),
        *("files", "older_dumps", "damage", "beside"),
    }
)
# what is found out if nothing is said
FOUND_ON_DISK = frozenset({"sector_size", "partition", "format"})


class Dump(WithKernel):
    """The machine and the system that dump it."""

    kernel: Annotated[
        Path | None, Option("--dump-kernel", "Kernel image that dumps.", path=True, of_kernel=True)
    ] = KERNEL
    source: Annotated[
        str | None,
        Option(
            "--dump-source",
            "Build the kernel that dumps from this source.",
            path=True,
            of_kernel=True,
        ),
    ] = SOURCE
    patches: Annotated[
        tuple[str, ...],
        Option(
            "--dump-patch",
            "Patch for this source: a file, or a museum patch's name.",
            path=True,
            of_kernel=True,
        ),
    ] = PATCHES
    config: Annotated[
        tuple[ConfigurationLine, ...],
        Option(
            "--dump-config",
            "Line of the dump kernel's configuration: CONFIG_X=y.",
            of_kernel=True,
        ),
    ] = CONFIG
    hsa_size: Annotated[Size, Option("--hsa-size", "Size of the HSA, such as 512M or 1G.")] = Field(
        64 * MIB, ge=MIN_HSA, le=MAX_HSA, multiple_of=PAGE_SIZE, description="size of the HSA"
    )
    layout: Annotated[DiskLayout, Option("--disk-layout", "Raw dump partition or file system.")] = (
        Field(DiskLayout.PARTITION, description="layout of the dump disk")
    )
    format: Annotated[
        DumpFormat, Option("--dump-format", "What the dump tool writes: ELF, or the s390 formats.")
    ] = Field(DumpFormat.ELF, description="format of the dump")
    disk_size: Annotated[
        Size | None, Option("--disk-size", "Size of the dump disk, such as 512M or 1G.")
    ] = Field(None, multiple_of=4096, description="default: as needed")
    sector_size: Annotated[
        SectorSize, Option("--disk-sector-size", "Size of the dump disk's sectors: 512 or 4096.")
    ] = Field(BLOCK_SIZE, description="size of the dump disk's sectors in bytes")
    partition: Annotated[
        int, Option("--dump-partition", "Number of the partition that receives the dump.")
    ] = Field(1, ge=1, le=MOST, description="the dump disk's partition that receives the dump")
    table: Annotated[
        PartitionTable, Option("--partition-table", "The dump disk's partition table.")
    ] = Field(PartitionTable.DOS, description="partition table of the dump disk")
    beside: Annotated[
        Neighbour | None,
        Option("--dump-beside", "Where a partition with a file system is: before or after."),
    ] = Field(None, description="a file system with files, beside a raw dump partition")
    files: Annotated[
        int | None, Option("--disk-files", "Seed of files that are on the dump disk before.")
    ] = Field(
        None,
        ge=0,
        lt=1 << 32,
        description="seed of files that are on the disk before, and must be there afterwards",
    )
    older_dumps: Annotated[
        int, Option("--older-dumps", "Number of older dumps that fill the dump disk.")
    ] = Field(0, ge=0, le=MOST_OLDER_DUMPS, description="older dumps that fill the disk")
    damage: Annotated[
        tuple[Damage, ...], Option("--disk-damage", "Damage of the dump disk's file system.")
    ] = Field((), description="damage of the file system before the dump")
    console: Annotated[
        tuple[Answer, ...],
        Option("--dump-answer", "Operator's answer on the dump console: 'REGEX => TEXT'."),
    ] = Field((), description="what the operator answers at the dump system's console")
    zipl: Annotated[
        ZiplChoice | None,
        Option("--zipl", "zipl that prepares the dump disk: a Debian suite, or a path.", path=True),
    ] = Field(None, description="the zipl that prepares the dump disk: a suite, or a path")
    tool: Annotated[
        str | None,
        Option(
            "--dump-tool",
            "Dump tool: a name, or a TOML file that describes it.",
            path=True,
            suffix=".toml",
        ),
    ] = Field(None, description="default: the harness's own; one given by a path ends in .toml")
    initramfs: Annotated[
        Path | None,
        Option("--dump-initramfs", "Ramdisk of the dump tool: list, directory or cpio.", path=True),
    ] = Field(None, description="the dump tool's ramdisk; default: one that is built")
    built_in: Annotated[
        bool, Option("--built-in", "Build the ramdisk into the dump kernel's image.")
    ] = Field(False, description="whether the ramdisk is a part of the dump kernel's image")
    disk: Annotated[
        Path | None,
        Option("--dump-disk", "Disk that your own zipl prepared: raw or qcow2.", path=True),
    ] = Field(None, description="a dump disk that is prepared already; it is copied")
    program: Annotated[
        Path | None,
        Option("--dump-program", "Program of the dump tool, such as s390-tools' own.", path=True),
    ] = Field(None, description="the dump tool's program, if it does not come with the harness")
    lun: Annotated[
        int | None, Option("--dump-lun", "QEMU's number of the dump disk on its adapter.")
    ] = Field(None, ge=0, le=MOST_LUN, description="QEMU's number of the dump disk; default: 0")
    wwpn: Annotated[
        Wwpn | None, Option("--dump-wwpn", "Port of the dump disk, for the IPL parameter block.")
    ] = Field(None, ge=1, lt=1 << 63, description="port of the dump disk; QEMU has no such thing")
    other_luns: Annotated[
        tuple[Annotated[int, Field(ge=0, le=MOST_LUN)], ...],
        Option("--other-lun", "Number of another disk on the dump disk's adapter."),
    ] = Field((), max_length=16, description="other disks on the adapter, which must not change")
    bootprog: Annotated[
        int, Option("--bootprog", "Number of the program to load from the dump disk.")
    ] = Field(0, ge=0, le=30, description="number of the program that is loaded")
    br_lba: Annotated[
        int, Option("--br-lba", "Block of the dump disk that has its boot record.")
    ] = Field(0, ge=0, lt=1 << 32, description="block that has the boot record")
    scp_data: Annotated[
        str, Option("--scp-data", "Kernel parameters in the IPL parameter block.")
    ] = Field(
        "",
        max_length=SCP_DATA_BYTES,
        pattern="^[ -~]*$",
        description="kernel parameters in the IPL parameter block",
    )
    parmline: Annotated[
        str,
        Option(
            "--dump-parmline",
            "Kernel parameters for the dump tool (dump_mode=...).",
            of_kernel=True,
        ),
    ] = Field("", description="added to the dump tool's kernel parameters")

    @property
    def kernel_spec(self) -> KernelSpec:
        return self.spec_for(Role.DUMP)

    def given(self, field: str) -> bool:
        """Whether somebody said it, even if it is the default."""
        return field in self.model_fields_set

    @property
    def place(self) -> Placement:
        """The dump's partition."""
        beside = Neighbour.AFTER if self.layout.boots_from_beside else self.beside
        return Placement(self.partition, self.table, beside)

    @property
    def load_parameters(self) -> LoadParameters:
        """What the IPL parameter block says besides the device."""
        return LoadParameters(self.bootprog, self.br_lba, self.scp_data.encode("ascii"))

    @model_validator(mode="after")
    def _disks_have_luns_of_their_own(self) -> Self:
        luns = [self.lun or DUMP_LUN, *self.other_luns]
        if len(set(luns)) < len(luns):
            raise ValueError("other_luns: each disk has a LUN of its own, also the dump disk")
        return self

    @model_validator(mode="after")
    def _given_disk_stays_as_it_is(self) -> Self:
        if self.disk is None:
            return self
        for name in sorted(self.model_fields_set & OF_DISK):
            raise ValueError(f"{name}: the dump disk is given, and is used as it is prepared")
        return self

    @model_validator(mode="after")
    def _table_can_be_made(self) -> Self:
        if self.disk is not None:
            return self
        if self.sector_size != BLOCK_SIZE and not self.place.is_plain:
            raise ValueError(
                f"sector_size: a disk with sectors of {self.sector_size} bytes has one partition "
                "and a DOS table"
            )
        return self

    @model_validator(mode="after")
    def _files_have_a_place(self) -> Self:
        if self.beside is not None:
            return self._require_only_files_beside()
        if self.layout.boots_from_beside and self.place.fault is not None and self.disk is None:
            raise ValueError(f"partition: the boot files need one, too: {self.place.fault}")
        if self.files is not None and not self.layout.is_file_system:
            raise ValueError(f"files: layout {self.layout} has no file system for them")
        if self.files is not None and self.layout.boots_from_beside:
            raise ValueError(f"files: nothing can be put on {self.layout} before the dump")
        others = [name for name in ("older_dumps", "damage") if getattr(self, name)]
        if others and self.files is None:
            raise ValueError(f"{others[0]}: needs dump.files, the seed of what is on the disk")
        if Damage.JOURNAL in self.damage and self.layout is DiskLayout.EXT2:
            raise ValueError(f"damage: {self.layout} has no journal")
        return self

    def _require_only_files_beside(self) -> Self:
        if self.layout.is_file_system:
            raise ValueError(f"beside: layout {self.layout} is a file system itself")
        if self.files is None:
            raise ValueError("beside: needs dump.files, the seed of what is there")
        others = [name for name in ("older_dumps", "damage") if getattr(self, name)]
        if others:
            raise ValueError(f"{others[0]}: no dump goes to the file system beside the dump's")
        if self.place.fault is not None:
            raise ValueError(f"beside: {self.place.fault}")
        return self

    @model_validator(mode="after")
    def _program_is_used(self) -> Self:
        if self.program is not None and self.initramfs is not None:
            raise ValueError("program: a whole ramdisk is given, so none is built with a program")
        return self

    @model_validator(mode="after")
    def _one_ramdisk(self) -> Self:
        others = [name for name in ("initramfs", "program") if getattr(self, name)]
        if self.built_in and self.kernel and others:
            raise ValueError(f"{others[0]}: the kernel is given, and has its ramdisk built in")
        return self

    @model_validator(mode="after")
    def _built_kernel_has_the_driver(self) -> Self:
        line, given = driver_of(self.layout), self.kernel or self.disk
        if self.layout.boots_from_beside and not given and line not in self.config:
            raise ValueError(f"layout: the dump kernel needs {self.layout}: add {line} to config")
        return self

    @model_validator(mode="after")
    def _default_kernel_fits(self) -> Self:
        least = LEAST_HSA_FILE_SYSTEM if self.layout.is_file_system else LEAST_HSA
        other_tool = self.tool or self.initramfs or self.program or self.built_in
        own = self.kernel or self.source or self.patches or self.config or other_tool or self.disk
        if not own and self.hsa_size < least:
            raise ValueError(
                f"hsa_size: the default dump kernel does not run in {format_size(self.hsa_size)}; "
                f"with layout {self.layout} it needs {format_size(least)}, a kernel of your own "
                "may need less"
            )
        return self


class Faults(Strict):
    """What goes wrong on purpose while the dump system runs."""

    inject: Annotated[
        tuple[FaultText, ...],
        Option("--fault", "What goes wrong on purpose: KIND:PLACE=NUMBER,..."),
    ] = Field(
        (), max_length=MOST_FAULTS, description="faults, as 'zharness faults list' shows them"
    )

    @property
    def injected(self) -> tuple[Fault, ...]:
        return tuple(map(fault_of, self.inject))

    @property
    def promise(self) -> Promise:
        """What the dump system promises in spite of them."""
        return promise_of(self.injected)


class Scenario(Strict):
    """One concrete scenario."""

    description: str = Field(min_length=1, description="one line for people")
    crashed: Crashed = Crashed()
    dump: Dump = Dump()
    faults: Faults = Faults()
    expect: Expect = Expect()

    @model_validator(mode="after")
    def _system_can_be_loaded_again(self) -> Scenario:
        if self.expect.reipl and self.crashed.load is not Load.SCSI:
            raise ValueError(f"expect.reipl: needs crashed.load = '{Load.SCSI}'")
        if self.expect.own_dump and not (self.expect.reipl and self.crashed.is_full):
            raise ValueError("expect.own_dump: needs expect.reipl = true and a full system")
        return self


class ScenarioFile(Scenario):
    """The content of a file: a scenario, or a matrix of them, or changes to another file."""

    # a file that extends another need not repeat its description
    description: str = Field("", description="one line for people")
    extends: str | None = Field(None, description="name or path of the scenario to start from")
    matrix: dict[str, list[Any]] = Field(
        {}, description="field -> values; one scenario for each combination"
    )


SECTIONS: dict[str, type[BaseModel]] = {
    "crashed": Crashed,
    "dump": Dump,
    "faults": Faults,
    "expect": Expect,
}
OPTIONS = options_of(SECTIONS)


def section_of(name: str) -> tuple[str, str]:
    """``crashed.smp`` or just ``smp`` -> section and field.

    Raises ValueError if there is no such field, or if the bare name is in two sections.
    """
    section, dot, field = name.partition(".")
    if dot:
        owners = [section] if field in getattr(SECTIONS.get(section), "model_fields", {}) else []
    else:
        field = section
        owners = [key for key, model in SECTIONS.items() if field in model.model_fields]
    if not owners:
        near = did_you_mean(
            field, [name for model in SECTIONS.values() for name in model.model_fields]
        )
        raise ValueError("no such field" + (f"; {near}" if near else ""))
    if len(owners) > 1:
        choices = " or ".join(f"{owner}.{field}" for owner in owners)
        raise ValueError(f"write {choices}")
    return owners[0], field
