"""A full system: a Debian that the harness builds, or one on a disk of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.dump.given_disk.image import copy_image, in_qcow2
from harness.errors import EvidenceError, UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file
from harness.images.debian.debug_symbols import debug_vmlinux
from harness.images.debian.kernel import DebianKernel
from harness.images.debian.module import module_for
from harness.images.debian.packages import FOR_ALL_IMAGES
from harness.images.disk import DISK
from harness.images.kernel.build import Kernel, foreign_kernel
from harness.images.kernel.vmlinux import Vmlinux
from harness.images.needs import Wanted
from harness.images.provide import Images
from harness.images.store import sha256
from harness.images.system.debian import PARMLINE, DebianSystem
from harness.images.system.spec import SUITE, GuestFile, SystemSpec
from harness.scenario.crashed import Crashed, Load, Ssh
from harness.ssh.handshake import Login

_UNKNOWN = "unknown"
_MOST_KEY = 1 << 14  # characters of a line with a public key


@dataclass(frozen=True)
class FullSystem:
    """A system on ``disk``, which is copied for each run.

    ``kernel`` is loaded by QEMU with ``initrd`` and ``parmline`` if ``direct``; otherwise it is
    what the disk loads, as far as that is known. ``digests`` tell all content of the system.
    """

    disk: Path
    kernel: Kernel
    initrd: Path | None
    parmline: str
    direct: bool
    login: Login
    digests: Mapping[str, str]
    identity: Mapping[str, Any]

    @staticmethod
    def wanted(crashed: Crashed) -> Wanted:
        """What it is built of, besides Debian's packages."""
        kernels = (crashed.kernel_spec,) if crashed.builds_kernel else ()
        return Wanted(kernels, FOR_ALL_IMAGES, machine=True)

    @classmethod
    def prepare(
        cls, images: Images, crashed: Crashed, parmline: str, *, with_module: bool = False
    ) -> FullSystem:
        """Build, or take from the store; raises BuildError, HostError or UsageError.

        ``with_module``: the trigger needs ``zcrash.ko`` of the system's kernel.
        """
        if crashed.disk is not None and crashed.ssh is not None:
            if with_module:
                raise UsageError(
                    f"trigger {crashed.trigger} needs a module, and none can be built for the "
                    f"kernel on {crashed.disk}",
                    hint="choose another trigger, such as sysrq-c",
                )
            return _given(images, crashed, crashed.disk, crashed.ssh, parmline)
        return _debian(images, crashed, parmline, with_module=with_module)


def _debian(images: Images, crashed: Crashed, parmline: str, *, with_module: bool) -> FullSystem:
    own = None
    if crashed.kernel is not None or crashed.builds_kernel:
        own = images.crashed_kernel(crashed.kernel, crashed.vmlinux, crashed.kernel_spec)
        if with_module and own.module is None:
            raise UsageError(
                f"trigger {crashed.trigger} needs a module, and kernel {own.origin} has none",
                hint="let the harness build the kernel, or choose another trigger",
            )
    direct = crashed.load is Load.DIRECT
    suite = crashed.suite or SUITE
    files = tuple(map(GuestFile.parse, crashed.files))
    spec = SystemSpec(suite, crashed.packages, files, crashed.first_boot)
    if not direct:  # the disk has them; QEMU's own loader takes them from the plan
        spec = replace(spec, kernel=own, parmline=parmline)
    elif own is not None and own.built_in:  # the disk has the list of the modules in it
        spec = replace(spec, kernel=own)
    system = images.full_system(spec)
    kernel = own or _of_distribution(images, crashed, system, spec, with_module=with_module)
    root = system.root_parmline if own is None else PARMLINE  # without an initramfs
    digests = {"disk": system.built.key, "host key": system.host_key}
    if with_module and kernel.module is not None:
        digests["module"] = sha256(kernel.module)
    return FullSystem(
        system.disk,
        kernel,
        None if own is not None else system.initrd,
        f"{root} {parmline}" if direct else system.root_parmline,
        direct,
        Login("root", system.key, system.host_key),
        digests,
        {"disk": system.built.key, "suite": suite, "packages": system.packages},
    )


def _of_distribution(
    images: Images, crashed: Crashed, system: DebianSystem, spec: SystemSpec, *, with_module: bool
) -> Kernel:
    """Debian's own kernel, with the vmlinux and the module that are wanted.

    With the vmlinux come the files of all its modules, for the code in the dump.
    """
    kernel = foreign_kernel(system.kernel)
    if not (crashed.debug_symbols or with_module):
        return kernel
    package = DebianKernel.of(system.packages, spec.suite, kernel.release)
    store, progress = images.store, images.progress
    if crashed.debug_symbols:
        kernel = replace(
            foreign_kernel(system.kernel, debug_vmlinux(store, progress, package)),
            modules=images.full_system_modules(spec, kernel.release),
        )
    if with_module:
        kernel = replace(kernel, module=module_for(store, progress, package))
    return kernel


def _given(images: Images, crashed: Crashed, path: Path, ssh: Ssh, parmline: str) -> FullSystem:
    require_file(path, "system disk")
    require_file(ssh.key, "SSH key")
    digest = sha256(path)
    direct = crashed.load is Load.DIRECT
    if direct:
        assert crashed.kernel is not None
        kernel = images.given_kernel(crashed.kernel, crashed.vmlinux)
    else:
        vmlinux = crashed.vmlinux
        if vmlinux is not None:
            require_file(vmlinux, "vmlinux")
        debug = None if vmlinux is None else Vmlinux.at(vmlinux, sha256(vmlinux))
        kernel = Kernel(path, _UNKNOWN, digest, f"the kernel on {path}", vmlinux=debug)
    host_key = _host_key(ssh.host_key)
    return FullSystem(
        _raw(images, path, digest),
        kernel,
        None,
        parmline,
        direct,
        Login(ssh.user, ssh.key, host_key),
        {"disk": digest, "host key": host_key},
        {"given": str(path), "sha256": digest},
    )


def _raw(images: Images, path: Path, digest: str) -> Path:
    """The disk in an image: the file itself, or what it unpacks to, in the store."""
    try:
        if not in_qcow2(path):
            return path
    except EvidenceError as error:
        raise UsageError(f"system disk {error.message}", hint=error.hint) from error

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with images.progress.task("unpack the disk of the system"):
            form = copy_image(path, directory / DISK)
        return {"given": str(path), "format": form}

    try:
        return images.store.get("system-given", {"sha256": digest}, build).path / DISK
    except EvidenceError as error:
        raise UsageError(f"system disk {error.message}", hint=error.hint) from error


def _host_key(text: str) -> str:
    """The line of a public key, which is given itself or is in a file."""
    if text.startswith(("ssh-", "ecdsa-")) and " " in text:
        return text
    path = Path(text).expanduser()
    require_file(path, "SSH host key")
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(_MOST_KEY).strip()
    except OSError as error:
        raise unusable(f"SSH host key {path}", error) from error
