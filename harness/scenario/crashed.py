"""The schema's section [crashed]: the system that crashes, and how."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from harness.images.kernel.spec import DISTRIBUTION, KernelSpec, Role, distribution_suite
from harness.scenario.fields import (
    FileInto,
    HostKey,
    PathAtHome,
    Size,
    Suite,
    TriggerName,
    WorkloadName,
)
from harness.scenario.options import Option
from harness.scenario.strict import Strict
from harness.scenario.with_kernel import WithKernel
from harness.triggers.system_kind import SystemKind
from harness.triggers.table import require_trigger, trigger_named
from harness.triggers.workloads import workload_of

MIB = 1 << 20
MIN_MEMORY = 128 * MIB
MIN_FULL_MEMORY = 512 * MIB  # systemd, sshd and their caches; with less, Debian 12 was not tried
MAX_CPUS = 64  # CONFIG_NR_CPUS of the crashed kernel


class Load(StrEnum):
    """How the system that crashes was loaded: by QEMU itself, or from its own SCSI disk."""

    DIRECT = "direct"
    SCSI = "scsi"


class System(StrEnum):
    """What runs in the machine that crashes."""

    MINIMAL = "minimal"  # busybox in an initramfs; commands are typed at its console
    DEBIAN = "debian"  # a full system on a disk of its own; commands come over SSH


class Ssh(Strict):
    """How to log in to a system on a disk of the user's own."""

    user: str = Field("root", min_length=1, pattern=r"^[a-z_][a-z0-9_-]*$", description="user name")
    key: PathAtHome = Field(description="file with the private key; there is no login by password")
    host_key: HostKey = Field(description="the system's public host key, or the file that has it")


# fields that make or describe a full system
OF_FULL_SYSTEM = ("suite", "packages", "files", "first_boot", "debug_symbols")
# fields whose content the digests of a system's image tell
IN_IMAGE = frozenset({"system", *OF_FULL_SYSTEM, "disk", "ssh"})


class Crashed(WithKernel):
    """The system that crashes."""

    kernel: Annotated[
        Path | None,
        Option(
            "--kernel",
            "Kernel of the system to be crashed: an image, or debian for the distribution's own.",
            path=True,
            words=DISTRIBUTION,
            of_kernel=True,
        ),
    ] = Field(
        None,
        description="kernel image, name in the store, or debian[@SUITE]; default: one that is "
        "built",
    )
    memory: Annotated[
        Size, Option("--memory", "Memory of the crashed system, such as 512M or 1G.")
    ] = Field(512 * MIB, ge=MIN_MEMORY, multiple_of=MIB, description="main storage")
    smp: Annotated[int, Option("--smp", "CPUs of the crashed system.")] = Field(
        2, ge=1, le=MAX_CPUS, description="number of CPUs"
    )
    cpu_model: str = Field("max", description="QEMU CPU model")
    load: Annotated[
        Load, Option("--load", "How the crashed system is loaded: direct, or scsi (its own disk).")
    ] = Field(Load.DIRECT, description="by QEMU, or from the system's own SCSI disk")
    system: Annotated[
        System, Option("--system", "The system to be crashed: minimal, or debian (a full system).")
    ] = Field(System.MINIMAL, description="what runs in the machine that crashes")
    suite: Annotated[
        Suite | None, Option("--suite", "Suite of Debian, such as trixie, of a full system.")
    ] = Field(None, description="the suite of a full Debian")
    packages: Annotated[
        tuple[str, ...], Option("--package", "Another Debian package for the full system.")
    ] = Field((), max_length=200, description="more packages of a full Debian")
    files: Annotated[
        tuple[FileInto, ...],
        Option("--file", "File for the full system: 'HOST-PATH => GUEST-PATH'."),
    ] = Field((), max_length=200, description="files that are put into a full Debian")
    first_boot: Annotated[
        Path | None,
        Option("--first-boot", "Script that the full system runs at its first boot.", path=True),
    ] = Field(None, description="script that a full Debian runs at its first boot")
    debug_symbols: Annotated[
        bool,
        Option("--debug-symbols", "Fetch the vmlinux of Debian's own kernel (it is large)."),
    ] = Field(False, description="whether the vmlinux of Debian's kernel is fetched")
    frozen: Annotated[
        bool, Option("--frozen", "Boot the system once; later runs start from it, frozen.")
    ] = Field(False, description="whether it starts from a frozen system that has booted before")
    disk: Path | None = Field(
        None, description="disk with a system of the user's own, raw or qcow2; it is copied"
    )
    ssh: Ssh | None = Field(None, description="how to log in to the system on that disk")
    trigger: Annotated[
        TriggerName, Option("--trigger", "How the system is crashed, such as sysrq-c or operator.")
    ] = Field("sysrq-c", description="how it is made to crash")
    workload: Annotated[
        WorkloadName | None,
        Option(
            "--workload",
            "What the system does then: a name, or the path of a script, with a slash.",
            path=True,
            part="/",
        ),
    ] = Field(None, description="what it is doing when that happens")
    content: int | None = Field(
        None, ge=0, lt=1 << 32, description="seed of what it plants in its memory before"
    )
    witnesses: bool | None = Field(
        None, description="whether it is asked what it looks like, just before"
    )
    vmlinux: Annotated[
        Path | None,
        Option(
            "--vmlinux", "vmlinux of the kernel given with --kernel.", path=True, of_kernel=True
        ),
    ] = Field(None, description="that kernel's vmlinux")
    parmline: str = Field("", description="added to the crashed system's kernel parameters")

    @property
    def is_full(self) -> bool:
        """Whether it is a full system, with a disk and an SSH server."""
        return self.system is System.DEBIAN or self.disk is not None

    @property
    def kind(self) -> SystemKind:
        """What triggers and workloads find in it."""
        return SystemKind.FULL if self.is_full else SystemKind.MINIMAL

    @property
    def tells(self) -> bool:
        """Whether it is asked what it looks like.

        Unless the scenario says so, a full system is if there is a vmlinux: nothing could be found
        in the dump without.
        """
        if self.witnesses is not None:
            return self.witnesses
        readable = self.debug_symbols or self.vmlinux is not None or self.builds_kernel
        return self.is_full and readable and not trigger_named(self.trigger).in_boot

    @property
    def kernel_spec(self) -> KernelSpec:
        return self.spec_for(Role.SYSTEM if self.is_full else Role.CRASHED)

    @model_validator(mode="after")
    def _trigger_can_be_pulled(self) -> Crashed:
        trigger = trigger_named(self.trigger)
        require_trigger(trigger, self.kind)
        if self.smp < trigger.cpus:
            raise ValueError(f"smp: trigger {self.trigger} needs {trigger.cpus} CPUs")
        others = [name for name in ("workload", "content") if getattr(self, name) is not None]
        others += ["witnesses"] if self.witnesses else []
        others += ["frozen"] if self.frozen else []
        if trigger.in_boot and (others or self.load is not Load.DIRECT):
            what = others[0] if others else "load"
            raise ValueError(f"{what}: trigger {self.trigger} leaves no time for it")
        if trigger.from_disk and self.load is not Load.SCSI:
            raise ValueError(f"load: trigger {self.trigger} needs a system loaded by '{Load.SCSI}'")
        return self

    @model_validator(mode="after")
    def _distributions_kernel_is_enough(self) -> Crashed:
        if self.kernel is None or distribution_suite(str(self.kernel)) is None:
            return self
        if self.is_full:
            raise ValueError(
                f"kernel: '{self.kernel}' has its drivers as modules, for a minimal system without "
                "a disk; a full Debian has its own kernel anyway"
            )
        if self.load is not Load.DIRECT:
            raise ValueError(f"load: kernel '{self.kernel}' has its SCSI drivers as modules")
        if trigger_named(self.trigger).needs_own_kernel:
            raise ValueError(
                f"trigger: {self.trigger} needs LKDTM or the harness's module, which kernel "
                f"'{self.kernel}' does not have"
            )
        return self

    @model_validator(mode="after")
    def _workload_can_run(self) -> Crashed:
        if self.workload is not None:
            workload_of(self.workload).require(self.kind, self.smp, self.memory)
        return self

    @model_validator(mode="after")
    def _system_is_full(self) -> Crashed:
        if not self.is_full:
            for name in (*OF_FULL_SYSTEM, "ssh"):
                if getattr(self, name):
                    raise ValueError(f"{name}: needs a full system: system = '{System.DEBIAN}'")
            return self
        if self.memory < MIN_FULL_MEMORY:
            raise ValueError("memory: a full system needs 512M")
        if self.content is not None:
            raise ValueError("content: only the minimal system plants content")
        return self

    @model_validator(mode="after")
    def _disk_is_used_as_it_is(self) -> Crashed:
        if self.disk is None:
            if self.ssh is not None:
                raise ValueError("ssh: belongs to a disk of your own: crashed.disk")
            return self
        if self.ssh is None:
            raise ValueError("disk: needs crashed.ssh, to log in: user, key and host_key")
        made = ["system"] if self.system is not System.MINIMAL else []
        for name in made + [name for name in OF_FULL_SYSTEM if getattr(self, name)]:
            raise ValueError(f"{name}: the disk is given, and is used as it is")
        if self.builds_kernel or (self.load is Load.SCSI and self.kernel is not None):
            raise ValueError("kernel: the disk is given, and has the kernel that it loads")
        if self.load is Load.DIRECT and self.kernel is None:
            raise ValueError(
                f"load: a disk of your own is loaded by '{Load.SCSI}', or by '{Load.DIRECT}' with "
                "crashed.kernel"
            )
        return self

    @model_validator(mode="after")
    def _symbols_of_own_kernel(self) -> Crashed:
        if self.debug_symbols and (self.kernel is not None or self.builds_kernel):
            raise ValueError("debug_symbols: are those of Debian's own kernel, which is not used")
        return self
