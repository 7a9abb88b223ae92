"""Kernels: built from source, or given by path."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import BuildError, HostError, UsageError
from harness.host.paths import data_dir, require_file
from harness.images.command import Tools
from harness.images.kernel import configuration
from harness.images.kernel import image as kernel_image
from harness.images.kernel.dependencies import Loss
from harness.images.kernel.make import COMPILE, WHY, Make, compiler, environment
from harness.images.kernel.objects import base_of, keep, kept
from harness.images.kernel.source import Source, apply, is_fetched, kernel_source, source_package
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.kernel.vmlinux import Vmlinux, vmlinux_of
from harness.images.store import Built, Store, sha256
from harness.progress import Progress

BASE_CONFIG = "zfcpdump_defconfig"
IMAGE, VMLINUX, CONFIG = "bzImage", "vmlinux", "config"
MODULE = "zcrash.ko"
DEBUG_INFO = "CONFIG_DEBUG_INFO=y"  # what all kinds of it select (Linux lib/Kconfig.debug)
# what a full system needs to know of drivers that are built in, or modprobe(8) refuses them
BUILT_IN = ("modules.builtin", "modules.builtin.modinfo")

# the lock of the one kernel that is compiled at a time: that takes all CPUs, and the next one finds
# in ccache what both have
COMPILER = "compiling-a-kernel"

# lines that make prints for its objects, for the first estimate (Linux 6.12)
OBJECTS = {Role.DUMP: 1260, Role.CRASHED: 1332, Role.SYSTEM: 1900}


@dataclass(frozen=True)
class Kernel:
    """A bootable image and its facts. ``origin`` is a name for people."""

    image: Path
    release: str
    sha256: str
    origin: str
    config: str | None = None
    vmlinux: Vmlinux | None = None
    module: Path | None = None
    built_in: tuple[Path, ...] = ()  # files for /lib/modules/RELEASE
    modules: Path | None = None  # the folder with the files of its other modules
    commit: str | None = None  # of the git repository that it was built from

    def identity(self) -> dict[str, Any]:
        """JSON: what identifies this kernel, and where its vmlinux is."""
        own = None if self.module is None else self.module.parent
        folder = self.modules or own
        modules = {} if folder is None else {"modules": str(folder)}
        commit = {} if self.commit is None else {"commit": self.commit}
        return {
            "release": self.release,
            "sha256": self.sha256,
            "origin": self.origin,
            "vmlinux": None if self.vmlinux is None else self.vmlinux.to_json(),
            **modules,
            **commit,
        }

    def require_unchanged(self) -> None:
        """Raises HostError if the image has changed since its digest was taken.

        Call it after something was made with the image that is kept under that digest.
        """
        try:
            same = sha256(self.image) == self.sha256
        except OSError:
            same = False
        if not same:
            raise HostError(
                f"kernel {self.image} changed while it was used", hint="run again when it is built"
            )


def kind_of(role: Role) -> str:
    """The store's kind of image for kernels with this ``role``."""
    return f"kernel-{role}"


def built_kernel(store: Store, spec: KernelSpec, progress: Progress) -> Kernel:
    """The kernel that ``spec`` describes; raises BuildError, HostError or UsageError."""
    patches = _patches(spec)
    source = kernel_source(store, progress, spec.source)
    images = data_dir() / "images"
    fragment = "".join(path.read_text() for path in spec.fragments)
    changes = "\n".join(spec.configuration)
    base = base_of(spec, source)

    def build(directory: Path, log: Path) -> dict[str, Any]:
        tree, objects, since = directory / "source", None, directory.stat().st_mtime
        if base is not None and base != spec:
            objects = kept(store, base.role, _inputs(base, source), since)
        as_it_is = not spec.configuration or objects is not None
        shared = environment(store.root, tree, as_it_is=as_it_is)
        tools = Tools(log, f"the {spec.role} kernel", shared)
        source.place(tree, tools)
        for patch in patches:
            apply(patch, tree, tools)
        make = Make(tree, tools)
        if objects is not None:
            make.take_over(objects)
        configured = make.configure(BASE_CONFIG, fragment, changes)
        for parameters in _parameters(images, spec):
            shutil.copyfile(parameters, make.objects / parameters.name)
        for line in configured.lines():
            with progress.task(f"the {spec.role} kernel: {line}"):
                pass
        expected = _objects(store, spec.role) if objects is None else None
        done = _compile(store, spec, make, progress, expected)
        shutil.move(make.objects / "arch" / "s390" / "boot" / IMAGE, directory / IMAGE)
        shutil.move(make.objects / ".config", directory / CONFIG)
        for name in _kept(spec.role, (directory / CONFIG).read_text()):
            shutil.move(make.objects / name, directory / name)
        if spec == base:
            _keep(store, spec, source, make, tools)
        shutil.rmtree(tree)
        return {
            "release": kernel_image.release((directory / IMAGE).read_bytes()),
            "source": spec.source,
            "compiler": compiler(),
            **({"objects": done} if objects is None else {}),
            "options unknown to this source": list(configured.unknown),
            "options that gave way": dict(configured.given_way),
        }

    image = store.get(kind_of(spec.role), _inputs(spec, source), build)
    return replace(kernel_from_store(image), commit=source.commit)


def is_built(store: Store, spec: KernelSpec, progress: Progress) -> bool:
    """Whether the store has that kernel, as far as is known without fetching its source."""
    package = source_package(spec.source)
    if package is not None and not is_fetched(store, package):
        return False
    source = kernel_source(store, progress, spec.source)
    return store.has(kind_of(spec.role), _inputs(spec, source))


def _compile(
    store: Store, spec: KernelSpec, make: Make, progress: Progress, expected: int | None
) -> int:
    """Compile the kernel and what belongs to it; returns how many objects the kernel has."""
    with (
        store.lock(COMPILER),
        progress.task(f"compile the {spec.role} kernel", expected, "objects") as task,
    ):
        done = make.compile(task.update)
        if spec.built_in is not None:
            make.build_in(spec.built_in)
        if spec.role.crashes:
            make.compile_module(data_dir() / "images" / "crash" / "zcrash", MODULE)
    return done


def _keep(store: Store, spec: KernelSpec, source: Source, make: Make, tools: Tools) -> None:
    """Keep the objects, if that is possible: they only save time."""
    try:
        keep(store, spec.role, _inputs(spec, source), make)
    except (BuildError, HostError) as error:
        tools.note([f"the objects are not kept: {error.message}"])


def _kept(role: Role, config: str) -> tuple[str, ...]:
    """The files of a build that are kept, beside image and configuration.

    Without debug information, which a dump kernel has only on request, a vmlinux is of no use.
    """
    if not role.crashes:
        return (VMLINUX,) if DEBUG_INFO in config.splitlines() else ()
    return (VMLINUX, MODULE, *(BUILT_IN if role is Role.SYSTEM else ()))


def _patches(spec: KernelSpec) -> tuple[Path, ...]:
    """Raises UsageError for a patch that does not exist."""
    for patch in spec.patch_files:
        require_file(patch, "patch")
    return spec.patch_files


def _inputs(spec: KernelSpec, source: Source) -> dict[str, Any]:
    """JSON: what determines a kernel."""
    inputs = {
        "source": source.identity,
        "patches": [
            [patch.name, patch.read_bytes().decode(errors="backslashreplace")]
            for patch in _patches(spec)
        ],
        "base": BASE_CONFIG,
        "configuration": _texts(data_dir() / "images", spec),
        "changed": list(spec.configuration),
    }
    if spec.built_in is not None:
        inputs["built in"] = sha256(spec.built_in)
        inputs["compiled by"] = COMPILE.read_text()  # without it the initramfs could be another one
    return inputs


def _texts(images: Path, spec: KernelSpec) -> dict[str, str]:
    """The files of the role from which a kernel is made, beside its source."""
    files = [*spec.fragments, *_parameters(images, spec)]
    if spec.role.crashes:
        files += sorted((images / "crash" / "zcrash").iterdir())
    return {path.name: path.read_text() for path in files}


def _parameters(images: Path, spec: KernelSpec) -> list[Path]:
    """The file with kernel parameters that the kernel of a role has of its own, if any."""
    return list((images / "kernel").glob(f"{spec.role}.bootconfig"))


def _objects(store: Store, role: Role) -> int:
    """How many objects the last kernel of this kind had that was compiled as a whole."""
    manifests = [image.manifest for image in store.images() if image.kind == kind_of(role)]
    whole = [manifest for manifest in manifests if "objects" in manifest]
    newest = max(whole, key=lambda manifest: str(manifest["created"]), default=None)
    return OBJECTS[role] if newest is None else int(newest["objects"])


@dataclass(frozen=True)
class Completed:
    """A full configuration: every option, with defaults; and what of the partial one is lost."""

    text: str
    losses: tuple[Loss, ...]


def complete_configuration(
    store: Store, source: str | None, partial: str, progress: Progress
) -> Completed:
    """The full configuration of a partial one, such as a defconfig, with a source."""
    tree = kernel_source(store, progress, source)

    def build(directory: Path, log: Path) -> dict[str, Any]:
        place = directory / "source"
        tools = Tools(log, "the configuration", environment(store.root, place))
        with progress.task("complete the configuration"):
            tree.place(place, tools)
            make = Make(place, tools)
            text = make.complete(partial)
            lost = make.losses(configuration.parse(partial), configuration.parse(text))
            (directory / CONFIG).write_text(text)
            shutil.rmtree(place)
        return {"losses": [loss.to_json() for loss in lost]}

    inputs = {"source": tree.identity, "partial": partial, "why": WHY.read_text()}
    image = store.get("configuration", inputs, build)
    lost = tuple(Loss(**each) for each in image.manifest["losses"])
    return Completed((image.path / CONFIG).read_text(), lost)


def import_kernel(store: Store, role: Role, kernel: Kernel) -> Built:
    """Copy a kernel given by path into the store, with its facts."""

    def build(directory: Path, log: Path) -> dict[str, Any]:
        shutil.copyfile(kernel.image, directory / IMAGE)
        kernel.require_unchanged()
        if kernel.vmlinux is not None:
            shutil.copyfile(kernel.vmlinux.path, directory / VMLINUX)
        if kernel.config is not None:
            (directory / CONFIG).write_text(kernel.config)
        return {"release": kernel.release, "source": kernel.origin}

    inputs = {
        "image": kernel.sha256,
        "vmlinux": None if kernel.vmlinux is None else kernel.vmlinux.sha256,
        "config": kernel.config,
    }
    return store.get(kind_of(role), inputs, build)


def foreign_kernel(image: Path, vmlinux: Path | None = None) -> Kernel:
    """A kernel given by path.

    Its configuration is the one in the image (CONFIG_IKCONFIG), or a file where Debian and a build
    tree put it. Raises UsageError if it is not an s390 kernel image, or if ``vmlinux`` does not
    belong to it (see ``vmlinux_of``).
    """
    data, name = kernel_image.check(image), f"kernel {image}"
    release = kernel_image.release(data)
    return Kernel(
        image=image,
        release=release,
        sha256=hashlib.sha256(data).hexdigest(),
        origin=str(image),
        config=kernel_image.embedded_config(data, name) or _config_beside(image, release),
        vmlinux=None if vmlinux is None else vmlinux_of(data, image, vmlinux),
    )


def require_crash_dump(kernel: Kernel) -> None:
    """Raises UsageError, with the option, if ``kernel`` is known to be unable to dump.

    Its code decides; its configuration decides only if the code cannot be decompressed.
    """
    able = kernel_image.can_dump(kernel.image.read_bytes(), f"kernel {kernel.image}")
    if able is None and kernel.config is not None:
        able = "CONFIG_CRASH_DUMP=y" in kernel.config.splitlines()
    if able is False:
        raise UsageError(
            f"kernel {kernel.image} ({kernel.release}) cannot dump: CONFIG_CRASH_DUMP is not set",
            hint="build it with zfcpdump_defconfig, or with CONFIG_CRASH_DUMP=y",
        )


def _config_beside(image: Path, release: str) -> str | None:
    """The s390 configuration that belongs to an image: /boot/config-RELEASE, or a .config."""
    image = image.resolve()
    candidates = [image.parent / f"config-{release}", image.parent / ".config"]
    if image.parts[-4:-1] == ("arch", "s390", "boot"):
        candidates.append(image.parents[3] / ".config")
    for path in candidates:
        if path.is_file() and "CONFIG_S390=y" in (text := path.read_text(errors="replace")):
            return text
    return None


def kernel_from_store(image: Built) -> Kernel:
    """A kernel that was built earlier."""
    files = image.manifest["files"]
    vmlinux = None
    if VMLINUX in files:
        vmlinux = Vmlinux.at(image.path / VMLINUX, files[VMLINUX]["sha256"])
    return Kernel(
        image=image.path / IMAGE,
        release=image.manifest["release"],
        sha256=files[IMAGE]["sha256"],
        origin=image.name,
        config=(image.path / CONFIG).read_text() if CONFIG in files else None,
        vmlinux=vmlinux,
        module=image.path / MODULE if MODULE in files else None,
        built_in=tuple(image.path / name for name in BUILT_IN if name in files),
    )
