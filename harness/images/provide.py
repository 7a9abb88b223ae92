"""All images that a run needs, by their purpose."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from harness.dump_tools.table import ZFCPDUMP
from harness.dump_tools.tool import DumpTool
from harness.errors import HostError, UsageError
from harness.host.together import together
from harness.images.debian.apt import private_apt
from harness.images.debian.packages import (
    FOR_ALL_IMAGES,
    ROOT,
    PackageSet,
    crash_set,
    judge_set,
    unpacked,
)
from harness.images.disk import PLAIN, DiskSpec, dump_disk, size_for
from harness.images.file_systems import copy_dumps, files_guest
from harness.images.initramfs.build import (
    CONTENT,
    CRASH_JUDGE,
    CRASH_MODULE,
    CRASHED,
    IMAGE,
    JUDGE,
    NEWER_JUDGE,
    initramfs,
)
from harness.images.initramfs.given import LARGEST, ramdisk, with_file
from harness.images.initramfs.program import require_program
from harness.images.kernel.build import (
    Kernel,
    built_kernel,
    foreign_kernel,
    kernel_from_store,
    require_crash_dump,
)
from harness.images.kernel.distribution import KINDS, debian_kernel
from harness.images.kernel.source import kernel_source
from harness.images.kernel.spec import KernelSpec, Role, distribution_suite, reading_kernel
from harness.images.needs import Wanted, require
from harness.images.partitions import Placement
from harness.images.store import Built, Store
from harness.images.system.debian import DebianSystem, debian_system
from harness.images.system.module_files import module_files
from harness.images.system.packages import system_packages
from harness.images.system.spec import SystemSpec
from harness.images.zipl.chosen import chosen_zipl
from harness.progress import Progress
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.zipl import BLOCK_SIZE

# zipl -d writes a parmline of its own and takes no other. This is the same parmline for a dump
# to a file system. possible_cpus: a dump needs one CPU (s390-tools zipl/src/job.c)
FILE_SYSTEM_PARMLINE = "root=/dev/ram0 possible_cpus=1 cgroup_disable=memory"

OWN_CRASHED_KERNEL, OWN_DUMP_KERNEL = KernelSpec(Role.CRASHED), KernelSpec(Role.DUMP)
SYSTEM_DISK_SIZE = 128 << 20
# what every run needs, unless kernels are given by path
MAIN_JOB = Wanted((OWN_CRASHED_KERNEL, OWN_DUMP_KERNEL), FOR_ALL_IMAGES, machine=True)
_DUMP_INITRAMFS = "initramfs-dump"

# names in zfcpdump 2 and in today's s390-tools
EXPORT_NAMES = {
    "kernel": ("zfcpdump.image", "zfcpdump-image"),
    "ramdisk": ("zfcpdump.rd", "zfcpdump-initrd"),
}


class Images:
    """Builds what is missing in the store. Methods raise BuildError, HostError, UsageError."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.store, self.progress = store, progress
        self._kernels: dict[KernelSpec, Kernel] = {}  # to ask apt for the source takes a while

    def crashed_kernel(
        self,
        image: Path | None = None,
        vmlinux: Path | None = None,
        spec: KernelSpec = OWN_CRASHED_KERNEL,
    ) -> Kernel:
        """The kernel that ``spec`` describes, or the one given by path."""
        if image is not None:
            return self.given_kernel(image, vmlinux)
        if vmlinux is not None:
            raise UsageError(
                f"vmlinux {vmlinux} needs a kernel given by path, but none is given",
                hint="give --kernel, too; the harness's own kernel has its own vmlinux",
            )
        return self.own_kernel(spec)

    def dump_kernel(self, image: Path | None = None, spec: KernelSpec = OWN_DUMP_KERNEL) -> Kernel:
        """The kernel that ``spec`` describes, or the one given by path if it is able to dump."""
        if image is None:
            return self.own_kernel(spec)
        kernel = self.given_kernel(image)
        require_crash_dump(kernel)
        return kernel

    def given_kernel(self, image: Path, vmlinux: Path | None = None) -> Kernel:
        """The kernel at a path, with this name in the store, or of a distribution.

        Raises UsageError for a file that is no kernel, or a name that is unknown.
        """
        name = str(image)
        if suite := distribution_suite(name):
            kernel = debian_kernel(self.store, self.progress, suite)
            return kernel if vmlinux is None else foreign_kernel(kernel.image, vmlinux)
        if vmlinux is None and name.startswith(tuple(KINDS)) and not image.exists():
            stored = self.kernel_named(name)
            self.store.require_whole(stored)
            return kernel_from_store(stored)
        return foreign_kernel(image, vmlinux)

    def kernel_named(self, name: str) -> Built:
        """The kernel in the store whose name is or starts with ``name``; raises UsageError."""
        found = [image for image in self.store.find(name) if image.kind in KINDS]
        if not found:
            raise UsageError(f"no kernel '{name}' in the store", hint="zharness kernel list")
        if len(found) > 1:
            names = ", ".join(image.name for image in found)
            raise UsageError(f"'{name}' matches several: {names}", hint="name one of them")
        return found[0]

    def crashed_initramfs(self, kernel: Kernel, *, with_content: bool = False) -> Built:
        """The initramfs for ``kernel``, with the modules that belong to it."""
        lists: tuple[str, ...] = CRASHED
        variables = {}
        if kernel.module is not None:
            lists += CRASH_MODULE
            variables["MODULE"] = str(kernel.module)
        if with_content:
            lists += CONTENT
        return initramfs(self.store, self.progress, "initramfs-crashed", lists, variables)

    def system_disk(self, kernel: Kernel, ramdisk: Built, parmline: str) -> Built:
        """A disk that loads the crashed system, and holds its boot counter."""
        spec = DiskSpec(DiskLayout.EXT4, SYSTEM_DISK_SIZE, kernel, ramdisk, parmline)
        return dump_disk(
            self.store,
            self.progress,
            spec,
            host_kernel=lambda: self._builder_kernel(kernel),
            kind="system-disk",
        )

    def full_system(self, spec: SystemSpec) -> DebianSystem:
        """A full Debian that loads itself; it takes some minutes to build."""
        spec.check()
        self.provide(Wanted((), FOR_ALL_IMAGES, systems=(spec.all_packages,)))
        return debian_system(self.store, self.progress, spec)

    def full_system_modules(self, spec: SystemSpec, release: str) -> Path:
        """The folder with all modules of that system's own kernel ``release``."""
        return module_files(self.store, self.progress, spec.all_packages, release)

    def dump_initramfs(
        self,
        layout: DiskLayout,
        parameters: str = "",
        tool: DumpTool = ZFCPDUMP,
        *,
        given: Path | None = None,
        program: Path | None = None,
        room: int = LARGEST,
        with_init: bool = True,
    ) -> Built:
        """The ramdisk of ``tool`` for dumps to ``layout``; ``given`` is one that the user has.

        ``program`` is the tool's, if that does not come with the harness. ``parameters`` are put
        into the ramdisk, if there are any. ``room`` and ``with_init`` say what ``given`` must be.
        """
        if given is not None:
            base = self._given_ramdisk(given, room, with_init=with_init)
        else:
            base = self._tool_ramdisk(layout, tool, program)
        if not parameters:
            return base
        archive = (base.path / IMAGE).read_bytes()

        def build(directory: Path, log: Path) -> dict[str, Any]:
            (directory / IMAGE).write_bytes(
                with_file(archive, tool.parameters_file, f"{parameters}\n")
            )
            return {}

        inputs = {"ramdisk": base.key, "file": tool.parameters_file, "parameters": parameters}
        return self.store.get(_DUMP_INITRAMFS, inputs, build)

    def _tool_ramdisk(self, layout: DiskLayout, tool: DumpTool, program: Path | None) -> Built:
        if not tool.lists:
            raise UsageError(
                f"the dump tool {tool.name} does not come with the harness",
                hint="give its ramdisk with --dump-initramfs",
            )
        variables = {}
        if program is not None:
            if not tool.takes_program:
                raise UsageError(f"the dump tool {tool.name} takes no program ({program})")
            require_program(program)
            variables["PROGRAM"] = str(program)
        elif tool.takes_program:
            raise UsageError(
                f"the program of the dump tool {tool.name} does not come with the harness",
                hint="give it with --dump-program, or a whole ramdisk with --dump-initramfs",
            )
        lists = tool.ramdisk_lists(layout)
        return initramfs(self.store, self.progress, _DUMP_INITRAMFS, lists, variables)

    def _given_ramdisk(self, path: Path, room: int, *, with_init: bool) -> Built:
        archive = ramdisk(path, room=room, with_init=with_init)

        def build(directory: Path, log: Path) -> dict[str, Any]:
            (directory / IMAGE).write_bytes(archive)
            return {"given": str(path)}

        inputs = {"archive": hashlib.sha256(archive).hexdigest()}
        return self.store.get(_DUMP_INITRAMFS, inputs, build)

    def dump_disk(
        self,
        layout: DiskLayout,
        memory: int,
        kernel: Kernel,
        ramdisk: Built | None,
        parmline: str = "",
        *,
        size: int | None = None,
        sector_size: int = BLOCK_SIZE,
        place: Placement = PLAIN,
        zipl: str | None = None,
    ) -> Built:
        """A disk for dumps of ``memory`` bytes; ``size`` in bytes overrides the computed size.

        Without a ramdisk, ``kernel`` has it built in. ``zipl`` is a suite or a path; see
        ``chosen_zipl``.
        """
        if parmline and not layout.is_file_system:
            raise UsageError(
                f"zipl -d takes no kernel parameters for a dump partition: {parmline}",
                hint="choose a file system layout for them, such as --disk-layout ext4",
            )
        spec = DiskSpec(
            layout,
            size_for(layout, memory, sector_size, place) if size is None else size,
            kernel,
            ramdisk,
            f"{FILE_SYSTEM_PARMLINE} {parmline}".strip() if layout.is_file_system else "",
            sector_size,
            place,
            None if zipl is None else chosen_zipl(self.store, self.progress, zipl),
        )
        return dump_disk(
            self.store, self.progress, spec, host_kernel=lambda: self._builder_kernel(kernel)
        )

    def copy_dumps(
        self, disk: Path, layout: DiskLayout, place: Placement, directory: str, into: Path
    ) -> str | None:
        """Copy the dumps on a file system that only Linux reads to a new disk image with ext4.

        Returns what is wrong with the file system; see ``file_systems.copy_dumps``.
        """
        guest = files_guest(self.store, self.progress)
        kernel = self.own_kernel(reading_kernel(layout))
        with self.progress.task(f"copy the dumps from the {layout} file system"):
            return copy_dumps(guest, kernel, disk, layout, place, directory, into)

    def judge_initramfs(self, suite: str | None = None) -> Built:
        """The guest in which zgetdump judges dumps: Debian 12's, or another ``suite``'s."""
        lists = JUDGE if suite is None else NEWER_JUDGE
        return self._judge(lists, judge_set(suite))

    def crash_judge_initramfs(self, suite: str | None = None) -> Built:
        """The guest in which the crash utility judges dumps: forky's, or another ``suite``'s."""
        return self._judge(CRASH_JUDGE, crash_set(suite))

    def _judge(self, lists: tuple[str, ...], tools: PackageSet) -> Built:
        packages = unpacked(self.store, self.progress, tools)
        variables = {"JUDGE": str(packages.path / ROOT)}
        return initramfs(self.store, self.progress, "initramfs-judge", lists, variables)

    def export(self, layout: DiskLayout, directory: Path) -> list[Path]:
        """Copy dump kernel and ramdisk to ``directory`` under the names s390-tools know.

        Raises HostError, too, if they cannot be written.
        """
        with _writing_to(directory):
            directory.mkdir(parents=True, exist_ok=True)
        sources = {
            "kernel": self.dump_kernel().image,
            "ramdisk": self.dump_initramfs(layout).path / IMAGE,
        }
        with _writing_to(directory):
            return [
                Path(shutil.copyfile(sources[what], directory / name))
                for what, names in EXPORT_NAMES.items()
                for name in names
            ]

    def provide(self, wanted: Wanted) -> None:
        """Check all that ``wanted`` needs, then fetch it; kernels are compiled after this.

        Raises HostError if this host or the mirror lacks something.
        """
        lacking = wanted.lacking(self.store, self.progress)
        if not lacking:
            return
        with private_apt() as apt:
            with self.progress.task("check whether all that is missing is available"):
                require(lacking, self.store.root, apt)
            store, progress = self.store, self.progress
            works: list[Callable[[], object]] = [
                # the largest ones first
                *(
                    partial(kernel_source, store, progress, str(each), apt)
                    for each in lacking.sources
                ),
                *(partial(system_packages, store, progress, each, apt) for each in lacking.systems),
                *(
                    partial(debian_kernel, store, progress, each, apt)
                    for each in lacking.distributions
                ),
                *(partial(unpacked, store, progress, each, apt) for each in lacking.packages),
            ]
            if works:
                with progress.task("fetch what is missing"):
                    together(works)

    def own_kernel(self, spec: KernelSpec) -> Kernel:
        """The kernel that ``spec`` describes; each is looked up only once."""
        if spec not in self._kernels:
            self.provide(Wanted(kernels=(spec,)))
            self._kernels[spec] = built_kernel(self.store, spec, self.progress)
        return self._kernels[spec]

    def _builder_kernel(self, given: Kernel) -> Kernel:
        """The kernel for the builder guest: the harness's own, which is known to work.

        If the host cannot build it: the given dump kernel, which must drive the disk anyway.
        """
        try:
            return self.own_kernel(OWN_DUMP_KERNEL)
        except HostError:
            return given


@contextmanager
def _writing_to(directory: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{error.filename} is not a directory", hint="name another one") from error
    except OSError as error:
        where = error.filename or directory
        raise HostError(f"cannot write {where}: {error.strerror}") from error
