"""A full Debian in the store: its two stages, with packages made by hand and a fake guest."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BuildError, UsageError
from harness.images.debian.apt import Apt, Resolved
from harness.images.initramfs import cpio
from harness.images.kernel.build import Kernel
from harness.images.store import Built, Store, sha256
from harness.images.system import guest, packages, root
from harness.images.system.debian import PARMLINE, SCAN, DebianSystem, debian_system
from harness.images.system.root_disk import PARTUUID
from harness.images.system.spec import GuestFile, SystemSpec
from harness.progress import NoProgress
from harness.qemu.process import console_path
from harness.qemu.spec import MachineSpec
from harness.ssh.keys import KeyPair
from tests.support.packages.debs import Member, file, make_deb

RELEASE = "6.1.0-9-s390x"
MODULES = f"./lib/modules/{RELEASE}/kernel"
DRIVERS = ("virtio_scsi", "sd_mod", "ext4")
MIB = 1 << 20
SMALL = SystemSpec(size=24 * MIB)


def kernel_members() -> list[Member]:
    modules = [file(f"{MODULES}/{name}.ko", b"\0depends=\0") for name in DRIVERS]
    return [file(f"./boot/vmlinuz-{RELEASE}", b"Debian's kernel"), *modules]


class Played:
    """Fake apt and fake guests: what they were asked, and what the last payload had."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.specs: list[MachineSpec] = []
        self.payload: dict[str, tuple[bytes, int]] = {}
        self.complaint: str | None = None
        self.installed = 10 * MIB

    def resolve(self, names: tuple[str, ...], architecture: str, suite: str) -> Resolved:
        extra = tuple(name for name in names if name not in packages.BASE)
        return Resolved(("base-passwd", "linux-image", *extra), 1000, self.installed)

    def download(self, names: tuple[str, ...], into: Path, *_: Any) -> list[Path]:
        into.mkdir()
        return [
            *(make_deb(into / f"{name}_1.deb", []) for name in names[2:]),
            make_deb(into / "base-passwd_1.deb", [file("./etc/group", b"root:x:0:\n")]),
            make_deb(into / "linux-image_1.deb", kernel_members()),
        ]

    def run_job(
        self, spec: MachineSpec, directory: Path, job: str, seconds: float, on_line: Any
    ) -> str | None:
        self.specs.append(spec)
        assert spec.append is not None
        name = spec.append.partition("system.job=")[2].split()[0]
        self.jobs.append(name)
        console_path(directory).write_text("what dpkg said\n")
        if name == "configure":
            on_line("Setting up base-passwd (1) ...")
            self._make_initrd(spec.disks[0].path, directory)
        else:
            with tarfile.open(spec.disks[1].path) as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    data = b"" if content is None else content.read()
                    self.payload[member.name] = (data, member.mode)
        return self.complaint

    def _make_initrd(self, disk: Path, directory: Path) -> None:
        (directory / "made").write_bytes(b"initramfs")
        command = f"write {directory / 'made'} /boot/initrd.img-{RELEASE}"
        device = f"{disk}?offset={MIB}"
        subprocess.run(["debugfs", "-w", "-R", command, device], check=True, capture_output=True)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    played = Played()
    monkeypatch.setattr(Apt, "resolve", lambda self, *given: played.resolve(*given))
    monkeypatch.setattr(Apt, "download", lambda self, *given: played.download(*given))
    monkeypatch.setattr(guest, "run_job", played.run_job)
    monkeypatch.setattr(root, "OWN", 4 * MIB)  # small disks are made in less time
    archive = tmp_path / "initramfs.gz"
    archive.write_bytes(cpio.archive([cpio.Entry("init", 0o100755, b"x")]))
    built = Built("initramfs", "0" * 20, tmp_path, {})
    monkeypatch.setattr(root, "initramfs", lambda *given, **named: built)
    return played


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())


def system(store: Store, spec: SystemSpec = SMALL) -> DebianSystem:
    return debian_system(store, NoProgress(), spec)


def test_a_system_and_what_reaches_it(played: Played, store: Store) -> None:
    made = system(store)
    assert played.jobs == ["configure", "install"]
    assert made.kernel.read_bytes() == b"Debian's kernel"
    assert made.initrd is not None
    assert made.initrd.read_bytes() == b"initramfs"
    assert made.packages == {"base-passwd": "1.0-1", "linux-image": "1.0-1"}
    assert made.root_parmline == f"{PARMLINE} {SCAN}"
    assert made.disk.stat().st_size == SMALL.size
    key = KeyPair.read(made.key)
    assert made.key.stat().st_mode & 0o077 == 0
    assert played.payload["root/.ssh/authorized_keys"] == (f"{key.public}\n".encode(), 0o600)
    private, mode = played.payload["etc/ssh/ssh_host_ed25519_key"]
    assert (b"OPENSSH PRIVATE KEY" in private, mode) == (True, 0o600)
    assert played.payload["etc/ssh/ssh_host_ed25519_key.pub"][0].decode().strip() == made.host_key
    assert played.payload["run/zharness/password"][0].decode() == f"root:{made.password}\n"
    assert PARTUUID.encode() in played.payload["etc/fstab"][0]
    assert played.payload["root/.ssh"][1] == 0o700


def test_a_system_is_built_once_and_each_has_its_own_keys(played: Played, store: Store) -> None:
    first, again = system(store), system(store)
    assert first == again
    other = system(store, replace(SMALL, parmline="quiet"))
    assert other.host_key != first.host_key
    assert other.password != first.password


def test_a_new_parmline_configures_nothing_again(played: Played, store: Store) -> None:
    system(store)
    made = system(store, replace(SMALL, parmline="nosmt quiet"))
    assert played.jobs == ["configure", "install", "install"]
    assert made.root_parmline == f"{PARMLINE} {SCAN} nosmt quiet"
    zipl = played.payload["etc/zipl.conf"][0].decode()
    assert f'parameters = "{PARMLINE} {SCAN} nosmt quiet"' in zipl
    assert "ramdisk = /boot/initrd.img" in zipl


def test_files_and_a_first_boot_script(played: Played, store: Store, tmp_path: Path) -> None:
    tool, script = tmp_path / "tool", tmp_path / "script"
    tool.write_bytes(b"tool")
    tool.chmod(0o700)
    script.write_text("#!/bin/sh\ntrue\n")
    spec = replace(SMALL, files=(GuestFile.parse(f"{tool} => /opt/tool"),), first_boot=script)
    system(store, spec)
    assert played.payload["opt/tool"] == (b"tool", 0o744)
    assert played.payload["usr/local/lib/zharness/first-boot"] == (b"#!/bin/sh\ntrue\n", 0o755)
    unit = played.payload["etc/systemd/system/zharness-first-boot.service"][0].decode()
    assert "ExecStart=/usr/local/lib/zharness/first-boot\n" in unit
    tool.write_bytes(b"another")
    system(store, spec)
    assert played.payload["opt/tool"][0] == b"another", "the content counts, not the path"
    assert played.jobs.count("configure") == 1


def test_a_kernel_of_ones_own(played: Played, store: Store, tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(b"own kernel")
    made = system(store, replace(SMALL, kernel=Kernel(image, "6.12", sha256(image), "own")))
    assert made.kernel.read_bytes() == b"own kernel"
    assert made.initrd is None
    assert played.payload["boot/vmlinuz-zharness"][0] == b"own kernel"
    zipl = played.payload["etc/zipl.conf"][0].decode()
    assert "image = /boot/vmlinuz-zharness" in zipl
    assert "ramdisk" not in zipl
    assert played.specs[-1].kernel != made.kernel, "Debian's own kernel runs in the guest"


def test_other_packages_are_another_root(played: Played, store: Store) -> None:
    system(store)
    system(store, replace(SMALL, packages=("zlib1g",)))
    assert played.jobs == ["configure", "install", "configure", "install"]


def test_a_disk_that_is_too_small(played: Played, store: Store) -> None:
    played.installed = 30 * MIB
    with pytest.raises(UsageError, match="a disk of 24 MiB is too small") as refused:
        system(store)
    assert "37 MiB" in (refused.value.hint or "")
    assert not played.jobs
    system(store, replace(SMALL, size=64 * MIB))


def test_a_guest_that_complains(played: Played, store: Store) -> None:
    played.complaint = "Error: dpkg did not configure one"
    with pytest.raises(BuildError, match=r"\(configure\): Error: dpkg did not configure one"):
        system(store)


@pytest.mark.parametrize(
    ("parmline", "complaint"), [('a="b"', "a quote"), ("a\nb", "control"), ("x" * 900, "bytes")]
)
def test_a_parmline_that_cannot_be(
    played: Played, store: Store, parmline: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        system(store, replace(SMALL, parmline=parmline))
    assert not played.jobs


def test_what_is_said_before_it_begins(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    class Loud(NoProgress):
        def task(self, what: str, total: float | None = None, unit: str = "") -> Any:
            said.append(what)
            return super().task(what, total, unit)

    system(Store(tmp_path / "store", Loud()))
    debian_system(Store(tmp_path / "other", Loud()), Loud(), replace(SMALL, suite="sid"))
    (line,) = [line for line in said if line.startswith("a full Debian sid: 2 packages, 0 MB")]
    assert "minutes" in line
    assert packages.KIND == "packages-system"


def test_modprobe_knows_what_a_kernel_of_ones_own_has(
    played: Played, store: Store, tmp_path: Path
) -> None:
    image, listed = tmp_path / "bzImage", tmp_path / "modules.builtin"
    image.write_bytes(b"own kernel")
    listed.write_text("kernel/drivers/block/zram/zram.ko\n")
    kernel = Kernel(image, "6.12.1", sha256(image), "own", built_in=(listed,))
    system(store, replace(SMALL, kernel=kernel))
    path = "usr/lib/modules/6.12.1/modules.builtin"
    assert played.payload[path] == (listed.read_bytes(), 0o644)
    assert played.payload["run/zharness/release"][0] == b"6.12.1\n"
