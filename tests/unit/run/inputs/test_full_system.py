"""A full system: what is built for it, or what the user gives, and how it is logged in to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from harness.errors import UsageError
from harness.images.debian.kernel import DebianKernel
from harness.images.kernel.build import Kernel
from harness.images.store import Built, Store, sha256
from harness.images.system.debian import DebianSystem
from harness.images.system.spec import GuestFile, SystemSpec
from harness.progress import NoProgress
from harness.run.inputs import full_system
from harness.run.inputs.crash import CrashInputs
from harness.run.inputs.full_system import FullSystem
from harness.run.plan import Plan
from harness.scenario.crashed import Crashed
from harness.scenario.model import Scenario
from harness.ssh.keys import KeyPair
from tests.support.disks.qcow2 import qcow2

HOST_KEY = "ssh-ed25519 AAAAC3Nz"


class FakeImages:
    def __init__(self, root: Path) -> None:
        self.store, self.progress = Store(root / "store", NoProgress()), NoProgress()
        self.full_system: Callable[[SystemSpec], DebianSystem]


@pytest.fixture
def images(tmp_path: Path) -> Any:
    return FakeImages(tmp_path)


@pytest.fixture
def built(tmp_path: Path, images: Any, monkeypatch: pytest.MonkeyPatch) -> list[SystemSpec]:
    """What was asked for; each time the same system comes."""
    asked: list[SystemSpec] = []
    path = tmp_path / "system"
    path.mkdir()
    (path / "vmlinuz").write_bytes(b"kernel")
    KeyPair.make().write(path / "key")

    def made(spec: SystemSpec) -> DebianSystem:
        asked.append(spec)
        return DebianSystem(
            disk=path / "disk.img",
            kernel=path / "vmlinuz",
            initrd=path / "initrd.img",
            root_parmline="root=/dev/sda1",
            key=path / "key",
            host_key=HOST_KEY,
            password="secret",
            built=Built("system-debian", "a" * 20, path, {}),
            packages={"systemd": "252"},
        )

    def foreign_kernel(image: Path) -> Kernel:
        return Kernel(image, "6.1.0", sha256(image), str(image))

    images.full_system = made
    monkeypatch.setattr(full_system, "foreign_kernel", foreign_kernel)
    return asked


def prepared(images: Any, **crashed: Any) -> FullSystem:
    return FullSystem.prepare(images, Crashed.model_validate(crashed), "trigger=1")


def test_a_debian_that_qemu_loads_takes_its_parmline_from_the_plan(images, built):
    system = prepared(images, system="debian")
    assert built == [SystemSpec("bookworm")], "so that all triggers share the disk"
    assert (system.direct, system.parmline) == (True, "root=/dev/sda1 trigger=1")
    assert system.kernel.image == system.disk.parent / "vmlinuz"
    assert system.initrd == system.disk.parent / "initrd.img"
    assert (system.login.user, system.login.host_key) == ("root", HOST_KEY)
    assert system.digests == {"disk": "a" * 20, "host key": HOST_KEY}
    assert system.identity["packages"] == {"systemd": "252"}


def test_a_debian_that_loads_itself_has_its_parmline_on_its_disk(images, built):
    system = prepared(images, system="debian", load="scsi", suite="trixie")
    assert built == [SystemSpec("trixie", parmline="trigger=1")]
    assert not system.direct


def test_packages_files_and_the_first_boot_script_are_part_of_it(images, built, tmp_path):
    fields = {"packages": ["stress"], "files": ["a b => /etc/a"], "first_boot": "script"}
    prepared(images, system="debian", **fields)
    (spec,) = built
    assert spec.packages == ("stress",)
    assert spec.files == (GuestFile(Path("a b"), PurePosixPath("/etc/a")),)
    assert spec.first_boot == Path("script")


def test_with_the_debug_symbols_come_the_files_of_the_modules(images, built, tmp_path, monkeypatch):
    vmlinux, asked = tmp_path / "vmlinux", []
    monkeypatch.setattr(full_system, "debug_vmlinux", lambda *given: vmlinux)
    monkeypatch.setattr(DebianKernel, "of", lambda packages, suite, release: (suite, release))
    monkeypatch.setattr(
        full_system,
        "foreign_kernel",
        lambda image, vmlinux=None: Kernel(image, "6.1.0", sha256(image), f"with {vmlinux}"),
    )

    def modules(spec: SystemSpec, release: str) -> Path:
        asked.append((spec.suite, release))
        return tmp_path / "modules"

    images.full_system_modules = modules
    kernel = prepared(images, system="debian", suite="sid", debug_symbols=True).kernel
    assert asked == [("sid", "6.1.0")]
    assert kernel.origin == f"with {vmlinux}"
    assert kernel.identity()["modules"] == str(tmp_path / "modules")
    assert "modules" not in prepared(images, system="debian").kernel.identity()


@pytest.mark.parametrize("how", ["raw", "qcow2"])
@pytest.mark.parametrize("key_in_file", [True, False])
def test_a_disk_of_the_users_own(images, tmp_path, how, key_in_file):
    disk, key, line = tmp_path / "own", tmp_path / "id", tmp_path / "host.pub"
    disk.write_bytes(b"\xfa" * 4096 if how == "raw" else qcow2(b"\xfa" * 4096))
    key.write_text("key")
    line.write_text(f"{HOST_KEY}\n")
    ssh = {"user": "root", "key": key, "host_key": str(line) if key_in_file else HOST_KEY}
    system = prepared(images, disk=disk, ssh=ssh, load="scsi")
    assert system.disk.read_bytes() == b"\xfa" * 4096
    assert (system.disk == disk) is (how == "raw")
    assert system.kernel.sha256 == sha256(disk)
    assert system.kernel.release == "unknown"
    assert system.login.host_key == HOST_KEY
    assert not system.direct


@pytest.mark.parametrize("absent", ["disk", "key", "host.pub"])
def test_a_file_that_is_missing_is_named(images, tmp_path, absent):
    for name in ("disk", "key", "host.pub"):
        if name != absent:
            (tmp_path / name).write_bytes(b"\xfa" * 4096)
    ssh = {"key": tmp_path / "key", "host_key": str(tmp_path / "host.pub")}
    with pytest.raises(UsageError, match=absent):
        prepared(images, disk=tmp_path / "disk", ssh=ssh, load="scsi")


def test_the_machine_of_a_full_system(images, built):
    crashed = Crashed(system="debian", memory="1G", smp=4)
    plan = Plan("one", Scenario(description="a test", crashed=crashed))
    system = FullSystem.prepare(images, crashed, plan.parmline)
    inputs = CrashInputs(system.kernel, None, None, system)
    spec = inputs.bootable(plan).spec
    assert (spec.kernel, spec.initrd) == (system.kernel.image, system.initrd)
    assert spec.append == "root=/dev/sda1 console=ttysclp0 panic=0"
    assert (spec.memory, spec.cpus) == (1 << 30, 4)
    assert inputs.identity()["crashed system"]["suite"] == "bookworm"


@pytest.mark.parametrize("built_in", [(), (Path("modules.builtin"),)])
def test_the_disk_has_the_list_of_a_kernels_own_modules(images, built, tmp_path, built_in):
    kernel = Kernel(tmp_path / "bzImage", "6.12", "0" * 64, "own", built_in=built_in)
    images.crashed_kernel = lambda *given: kernel
    prepared(images, system="debian", kernel=tmp_path / "bzImage")
    assert built[-1].kernel == (kernel if built_in else None)
    assert built[-1].parmline == "", "it comes from the plan"
