"""Kernels of full systems, below busybox: one that is built, and Debian's own with our module."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import UsageError
from harness.evidence.journal import Journal
from harness.host.paths import default_store
from harness.images.debian.apt import private_apt
from harness.images.debian.debug_symbols import debug_vmlinux
from harness.images.debian.kernel import DebianKernel
from harness.images.debian.module import module_for
from harness.images.debian.packages import ARCHITECTURE, ROOT, PackageSet, unpacked
from harness.images.initramfs.build import IMAGE
from harness.images.kernel import configuration
from harness.images.kernel.build import Kernel, foreign_kernel
from harness.images.kernel.image import release
from harness.images.provide import Images
from harness.images.store import Store
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.shell import Shell
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.run.phases import Phases
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

SUITE = "bookworm"  # its main archive does not change any more
MEMORY = 512 << 20
BUILD_SECONDS = 3000


def images() -> Images:
    return Images(Store(default_store(), NoProgress()), NoProgress())


@contextmanager
def booted(kernel: Kernel) -> Iterator[Shell]:
    """The shell of busybox on this kernel, with its module in the root."""
    spec = MachineSpec(
        memory=MEMORY,
        cpus=2,
        kernel=kernel.image,
        initrd=images().crashed_initramfs(kernel).path / IMAGE,
        append="console=ttysclp0 panic=0",
    )
    with tempfile.TemporaryDirectory() as scratch, Journal(Path(scratch, "journal")) as journal:
        phases = Phases(journal, NoProgress(), memory=MEMORY, time_factor=1.0)
        with Booter(find_qemu(), phases).booted(Bootable(spec), Path(scratch)) as system:
            yield system.shell


def printed(shell: Shell, command: str) -> list[str]:
    return [line.strip() for line in shell.run(command, Deadline(60)).splitlines()]


@pytest.fixture(scope="module", params=["linux-source-6.12", "linux-source-6.1"])
def built(zharness: Zharness, request: pytest.FixtureRequest) -> Kernel:
    command = ("kernel", "build", "system", "--source", request.param)
    done = zharness(*command, timeout=BUILD_SECONDS)
    assert done.code == 0, done.err
    return images().given_kernel(Path(done.out.split()[0]))


def test_a_kernel_for_a_full_system_has_what_systemd_uses(built: Kernel):
    with booted(built) as shell:
        systems = {line.split()[-1] for line in printed(shell, "cat /proc/filesystems")}
        assert {"cgroup2", "autofs", "ext4", "xfs", "tmpfs", "mqueue", "bpf"} <= systems
        controllers = printed(
            shell, "mount -t cgroup2 none /tmp; cat /tmp/cgroup.controllers; umount /tmp"
        )
        assert {"cpu", "memory", "io", "pids"} <= set(controllers[0].split())
        assert printed(shell, "ls /sys/block | grep zram") == ["zram0"]
        assert "lo" in printed(shell, "ls /sys/class/net")
        assert printed(shell, "insmod /zcrash.ko && echo loaded")[-1] == "loaded"


def test_a_kernel_for_a_full_system_needs_no_module(built: Kernel):
    assert built.config is not None
    modules = [name for name, value in configuration.parse(built.config).items() if value == "m"]
    assert modules == []
    (listed,) = (path for path in built.built_in if path.name == "modules.builtin")
    assert {"virtio_net.ko", "xfs.ko", "zram.ko"} <= {
        line.rpartition("/")[2] for line in listed.read_text().splitlines()
    }


@pytest.mark.parametrize("trigger", ["sysrq-c", "oops", "lkdtm-BUG"])
def test_a_kernel_for_a_full_system_is_dumped(
    zharness: Zharness, built: Kernel, trigger: str, tmp_path: Path
):
    options = ("--trigger", trigger, "--json", "--output", tmp_path / "evidence")
    ran = zharness("run", "quick", "--kernel", built.origin, *options)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "PASS"


@pytest.mark.parametrize("load", ["direct", "scsi"])
def test_a_full_debian_runs_on_it(zharness: Zharness, built: Kernel, load: str, tmp_path: Path):
    """memory-pressure asks modprobe(8) for zram, which is in the kernel."""
    options = ("--load", load, "--json", "--output", tmp_path / "evidence")
    kernel = ("--kernel", built.origin, "--workload", "memory-pressure")
    ran = zharness("run", "debian", *kernel, *options)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "PASS"


@pytest.fixture(scope="module")
def debian() -> tuple[DebianKernel, Kernel]:
    """Debian's own kernel, and its image."""
    with private_apt() as apt:
        names = apt.with_dependencies("linux-image-s390x", ARCHITECTURE, SUITE)
        (name,) = [name for name in names if re.fullmatch(r"linux-image-\d.*", name)]
        packages = unpacked(
            images().store, NoProgress(), PackageSet("packages-kernel", SUITE, (name,)), apt
        )
    (image,) = (packages.path / ROOT / "boot").glob("vmlinuz-*")
    versions: Mapping[str, str] = {
        each["name"]: each["version"] for each in packages.manifest["packages"]
    }
    kernel = foreign_kernel(image)
    return DebianKernel.of(versions, SUITE, release(image.read_bytes())), kernel


def test_debians_kernel_dies_of_our_module(debian: tuple[DebianKernel, Kernel]):
    own, kernel = debian
    module = module_for(images().store, NoProgress(), own)
    with booted(replace(kernel, module=module)) as shell:
        assert printed(shell, "uname -r") == [own.release]
        assert printed(shell, "insmod /zcrash.ko && echo loaded")[-1] == "loaded"
        unknown = printed(shell, "echo none > /sys/kernel/debug/zcrash || echo refused")
        assert unknown[-1] == "refused"
        oops = "echo 0 > /proc/sys/kernel/panic_on_oops; (echo oops > /sys/kernel/debug/zcrash)"
        said = "\n".join(printed(shell, f"{oops}; dmesg"))
        assert re.search(r"zcrash_oops\+0x\w+/0x\w+ \[zcrash\]", said)


def test_the_debug_symbols_are_those_of_debians_kernel(debian: tuple[DebianKernel, Kernel]):
    own, kernel = debian
    vmlinux = debug_vmlinux(images().store, NoProgress(), own)
    with_symbols = foreign_kernel(kernel.image, vmlinux)
    assert with_symbols.vmlinux is not None
    assert with_symbols.vmlinux.build_id is not None


def test_they_are_not_those_of_another_kernel(debian: tuple[DebianKernel, Kernel], built: Kernel):
    vmlinux = debug_vmlinux(images().store, NoProgress(), debian[0])
    with pytest.raises(UsageError, match=r"its build-id .* is not in that"):
        foreign_kernel(built.image, vmlinux)
