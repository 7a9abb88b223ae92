"""The second stage: a full Debian with files, keys, a kernel and a boot map."""

from __future__ import annotations

import io
import secrets
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import sparse
from harness.images.disk import DISK
from harness.images.kernel.build import Kernel
from harness.images.store import Built, Store, sha256
from harness.images.system.guest import Job
from harness.images.system.root import INITRD, KERNEL, guest_of, system_root
from harness.images.system.root_disk import PARTUUID
from harness.images.system.settings import own_files
from harness.images.system.spec import SystemSpec
from harness.progress import Progress
from harness.ssh.keys import KeyPair

KIND = "system-debian"
KEY, PASSWORD, HOST_KEY = "id_ed25519", "password", "ssh_host_ed25519_key.pub"
# where the root is, the console, and that a panic is not the end
PARMLINE = f"root=PARTUUID={PARTUUID} console=ttysclp0 panic=0"
# the initramfs looks at target 0 only: images/system/root, zharness-scan
SCAN = "scsi_mod.scan=manual"
MOST_PARMLINE = 895  # bytes: COMMAND_LINE_SIZE of older kernels without its end (asm/setup.h)
SECONDS = 600.0
_OWN_KERNEL = "vmlinuz-zharness"
_OWN_RELEASE = "run/zharness/release"  # depmod makes the indexes of its modules
_FIRST_BOOT = "usr/local/lib/zharness/first-boot"
_UNIT = "zharness-first-boot.service"
_ZIPL = """\
[defaultboot]
default = system

[system]
target = /boot
image = /boot/{kernel}
{ramdisk}parameters = "{parmline}"
"""
_UNIT_TEXT = f"""\
[Unit]
Description=First-boot script of the scenario
After=local-fs.target systemd-networkd.service
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/{_FIRST_BOOT}
ExecStartPost=/bin/systemctl disable {_UNIT}

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class DebianSystem:
    """A full Debian on ``disk``, a sparse raw image, which loads itself.

    ``kernel`` and ``initrd`` are for QEMU's own loader, with ``root_parmline``. ``key`` is the
    private key of root's login, ``host_key`` the line of the system's own public key, ``password``
    root's on the console. ``packages`` are names and versions.
    """

    disk: Path
    kernel: Path
    initrd: Path | None
    root_parmline: str
    key: Path
    host_key: str
    password: str
    built: Built
    packages: dict[str, str]

    @classmethod
    def of(cls, built: Built) -> DebianSystem:
        """The system in an image of the store."""
        initrd = built.path / INITRD
        return cls(
            built.path / DISK,
            built.path / KERNEL,
            initrd if initrd.exists() else None,
            built.manifest["parmline"],
            built.path / KEY,
            (built.path / HOST_KEY).read_text().strip(),
            (built.path / PASSWORD).read_text().strip(),
            built,
            {each["name"]: each["version"] for each in built.manifest["packages"]},
        )


def debian_system(store: Store, progress: Progress, spec: SystemSpec) -> DebianSystem:
    """The system that ``spec`` describes, from the store or built (some minutes).

    Raises UsageError for what is wrong with ``spec``, HostError if packages cannot be fetched,
    BuildError if they cannot be configured, or zipl fails.
    """
    spec.check()
    scan = SCAN if spec.kernel is None else ""  # a kernel of one's own has no initramfs
    parmline = " ".join(filter(None, (PARMLINE, scan, spec.parmline)))
    _require_parmline(parmline)
    root = system_root(store, progress, spec.all_packages, spec.size)

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with progress.task("copy the root file system"):
            sparse.copy(root.path / DISK, directory / DISK)
        _place_boot_files(spec, root, directory)
        payload = directory / "payload.tar"
        _write_payload(payload, spec, parmline, _secrets(directory))
        with progress.task("install files and the boot map in a guest"):
            guest_of(root).run(Job.INSTALL, directory / DISK, log, SECONDS, payload=payload)
        payload.unlink()
        return {
            "packages": root.manifest["packages"],
            "root": root.name,
            "suite": spec.suite,
            "parmline": parmline,
        }

    return DebianSystem.of(store.get(KIND, _inputs(spec, root, parmline), build))


def _inputs(spec: SystemSpec, root: Built, parmline: str) -> dict[str, Any]:
    """JSON: what determines a system, beside its keys, which are random."""
    return {
        "root": root.key,
        "created": root.manifest["created"],  # another build of the same has other files
        "files": [
            [str(file.target), sha256(file.source), file.mode]
            for file in sorted(spec.files, key=lambda file: file.target)
        ],
        "first boot": None if spec.first_boot is None else sha256(spec.first_boot),
        "kernel": None if spec.kernel is None else spec.kernel.sha256,
        "parmline": parmline,
        "zipl": _ZIPL,
        "unit": _UNIT_TEXT,
        "settings": own_files("settings"),
        "script": Job.INSTALL.script,
    }


def _place_boot_files(spec: SystemSpec, root: Built, directory: Path) -> None:
    """Kernel and initramfs for QEMU's own loader."""
    if spec.kernel is not None:
        shutil.copyfile(spec.kernel.image, directory / KERNEL)
        spec.kernel.require_unchanged()
        return
    for name in (KERNEL, INITRD):
        shutil.copyfile(root.path / name, directory / name)


@dataclass(frozen=True)
class _Secrets:
    """What lets somebody into the system."""

    host_key: KeyPair
    user_key: KeyPair
    password: str


def _secrets(directory: Path) -> _Secrets:
    """New keys and a new password, also as files of the image."""
    made = _Secrets(KeyPair.make(), KeyPair.make(), secrets.token_urlsafe(12))
    made.user_key.write(directory / KEY)
    (directory / HOST_KEY).write_text(f"{made.host_key.public}\n")
    (directory / PASSWORD).touch(0o600)
    (directory / PASSWORD).write_text(f"{made.password}\n")
    return made


def _write_payload(path: Path, spec: SystemSpec, parmline: str, own: _Secrets) -> None:
    """The archive that the guest unpacks in the root file system; all in it is root's."""
    kernel, ramdisk = "vmlinuz", "ramdisk = /boot/initrd.img\n"
    if spec.kernel is not None:
        kernel, ramdisk = _OWN_KERNEL, ""
    texts = {
        **own_files("settings"),
        "etc/zipl.conf": (_ZIPL.format(kernel=kernel, ramdisk=ramdisk, parmline=parmline), 0o644),
        "etc/machine-id": (f"{secrets.token_hex(16)}\n", 0o444),
        "etc/ssh/ssh_host_ed25519_key": (own.host_key.private, 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (f"{own.host_key.public}\n", 0o644),
        "root/.ssh/authorized_keys": (f"{own.user_key.public}\n", 0o600),
        "run/zharness/password": (f"root:{own.password}\n", 0o600),
    }
    if spec.first_boot is not None:
        texts[f"etc/systemd/system/{_UNIT}"] = (_UNIT_TEXT, 0o644)
    with tarfile.open(path, "w") as archive:
        _add_directory(archive, "root/.ssh", 0o700)
        for name, (text, mode) in texts.items():
            _add(archive, name, text.encode(), mode)
        for file in spec.files:
            _add_file(archive, str(file.target).lstrip("/"), file.source, file.mode)
        if spec.first_boot is not None:
            _add_file(archive, _FIRST_BOOT, spec.first_boot, 0o755)
        if spec.kernel is not None:
            _add_kernel(archive, spec.kernel)


def _add_kernel(archive: tarfile.TarFile, kernel: Kernel) -> None:
    """Its image, and what tells modprobe(8) which modules are in the image itself."""
    _add_file(archive, f"boot/{_OWN_KERNEL}", kernel.image, 0o644)
    for path in kernel.built_in:
        _add_file(archive, f"usr/lib/modules/{kernel.release}/{path.name}", path, 0o644)
    if kernel.built_in:
        _add(archive, _OWN_RELEASE, f"{kernel.release}\n".encode(), 0o644)


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def _add_file(archive: tarfile.TarFile, name: str, source: Path, mode: int) -> None:
    member = tarfile.TarInfo(name)
    with source.open("rb") as file:
        member.size, member.mode = source.stat().st_size, mode
        archive.addfile(member, file)


def _add_directory(archive: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    archive.addfile(member)


def _require_parmline(parmline: str) -> None:
    """Raises UsageError for one that zipl.conf or the kernel cannot hold."""
    if not parmline.isprintable() or '"' in parmline:
        raise UsageError(f"the parmline {parmline!r} has a quote or a control character")
    if len(parmline.encode()) > MOST_PARMLINE:
        raise UsageError(
            f"the parmline of a full system has {len(parmline.encode())} bytes",
            hint=f"at most {MOST_PARMLINE} are possible",
        )
