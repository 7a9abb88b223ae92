"""What the host must have to build images, checked before anything is fetched or compiled.

``zharness doctor`` shows all of it. ``Images.provide`` refuses to start if anything is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.errors import HostError
from harness.host.tools import find_tool, how_to_get
from harness.images.debian.apt import Apt
from harness.images.debian.mirror import KEYRING, mirror, require_keyring
from harness.images.debian.packages import ARCHITECTURE, PackageSet, is_unpacked
from harness.images.kernel.build import is_built
from harness.images.kernel.distribution import has_debian_kernel, package_name
from harness.images.kernel.make import CROSS_COMPILE
from harness.images.kernel.source import SourcePackage, is_fetched, source_package
from harness.images.kernel.spec import KernelSpec
from harness.images.store import Store
from harness.images.system.packages import SystemPackages, has_packages
from harness.progress import Progress
from harness.qemu.binary import find_qemu

MEMORY = 2 << 30
DISK_FOR_KERNELS, DISK = 12 << 30, 2 << 30
DISK_FOR_SYSTEM = 2 << 30  # packages, their files, the disk and its copy

_MACHINE = {
    "setpriv": "so that no QEMU outlives the harness",
    "debugfs": "to take a dump file from a disk image",
    "mke2fs": "to make file systems in disk images",
}
_FETCH = {
    "apt-get": "to fetch packages of Debian",
    "dpkg-deb": "to unpack them",
}
_UNPACK = {"xz": "to unpack the kernel source", "patch": "to build kernels with patches"}
_COMPILE = {
    f"{CROSS_COMPILE}gcc": "to build kernels",
    "gcc": "to build kernels (host tools)",
    "make": "to build kernels",
    "bc": "to build kernels",
    "bison": "to build kernels",
    "flex": "to build kernels",
}
_HEADER = "stdio.h"
_OTHER_STORE = "name another place with --store or ZHARNESS_STORE"


@dataclass(frozen=True)
class Item:
    """One thing that was checked; ``why`` it is needed and, if it is not ``ok``, the ``fix``."""

    name: str
    ok: bool
    found: str
    why: str
    fix: str = ""


@dataclass(frozen=True)
class Wanted:
    """What images are made of. ``machine``: they will also be run.

    ``distributions`` are suites whose own kernel is wanted.
    """

    kernels: tuple[KernelSpec, ...] = ()
    packages: tuple[PackageSet, ...] = ()
    machine: bool = False
    systems: tuple[SystemPackages, ...] = ()
    distributions: tuple[str, ...] = ()

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(
            tuple(dict.fromkeys(self.kernels + other.kernels)),
            tuple(dict.fromkeys(self.packages + other.packages)),
            self.machine or other.machine,
            tuple(dict.fromkeys(self.systems + other.systems)),
            tuple(dict.fromkeys(self.distributions + other.distributions)),
        )

    def lacking(self, store: Store, progress: Progress) -> Lacking:
        """The part that the store does not have; raises UsageError for an impossible kernel."""
        kernels = tuple(spec for spec in self.kernels if not is_built(store, spec, progress))
        sources = dict.fromkeys(source_package(spec.source) for spec in kernels)
        return Lacking(
            kernels,
            tuple(wanted for wanted in self.packages if not is_unpacked(store, wanted)),
            tuple(source for source in sources if source and not is_fetched(store, source)),
            self.machine,
            tuple(wanted for wanted in self.systems if not has_packages(store, wanted)),
            tuple(suite for suite in self.distributions if not has_debian_kernel(store, suite)),
        )


@dataclass(frozen=True)
class Lacking:
    """What must be fetched and built; false if that is nothing."""

    kernels: tuple[KernelSpec, ...] = ()
    packages: tuple[PackageSet, ...] = ()
    sources: tuple[SourcePackage, ...] = ()
    machine: bool = False
    systems: tuple[SystemPackages, ...] = ()
    distributions: tuple[str, ...] = ()

    @property
    def fetched(self) -> bool:
        """Whether anything of it comes from a mirror."""
        return bool(self.packages or self.sources or self.systems or self.distributions)

    @property
    def indexes(self) -> set[tuple[str, str]]:
        """(suite, architecture) of every index that has something of it; raises HostError."""
        return (
            {(each.suite, each.architecture) for each in self.packages}
            | {(each.suite, ARCHITECTURE) for each in self.sources}
            | {(each.suite, ARCHITECTURE) for each in self.systems}
            | {(suite, ARCHITECTURE) for suite in self.distributions}
        )

    def __bool__(self) -> bool:
        return bool(self.kernels or self.fetched)


def require(lacking: Lacking, store: Path, apt: Apt) -> None:
    """Raises HostError unless everything that is missing can be fetched and built on this host.

    The mirror is asked only if the host itself has everything.
    """
    missing = [item for item in _of_this_host(lacking, store) if not item.ok]
    missing = missing or [item for item in _from_debian(lacking, apt) if not item.ok]
    if not missing:
        return
    if len(missing) > 1:
        names = ", ".join(item.name for item in missing)
        raise HostError(
            f"this host lacks what is needed to build the images: {names}",
            hint="zharness doctor tells how to get each of them",
        )
    (item,) = missing
    raise HostError(f"{item.name}: {item.found} ({item.why})", hint=item.fix or None)


def examine(lacking: Lacking, store: Path, apt: Apt) -> Iterator[Item]:
    """Everything that is needed to build the missing images; they will be kept in ``store``."""
    yield from _of_this_host(lacking, store)
    yield from _from_debian(lacking, apt)


def _of_this_host(lacking: Lacking, store: Path) -> Iterator[Item]:
    if lacking.machine:
        yield _qemu()
        yield from _tools(_MACHINE)
        yield _memory()
        yield _memory_files()
    systems = DISK_FOR_SYSTEM * len(lacking.systems)
    yield _disk(store, (DISK_FOR_KERNELS if lacking.kernels else DISK) + systems)
    if lacking.kernels:
        yield from _tools(_UNPACK | _COMPILE)
        yield _header()


def _from_debian(lacking: Lacking, apt: Apt) -> Iterator[Item]:
    """Programs of apt, the keyring and the mirror; if these are there, also every package."""
    if not lacking.fetched:
        return
    means = [*_tools(_FETCH)]
    if all(item.ok for item in means):
        means += [
            _asked("Debian's keyring", "to verify packages", _keyring),
            _asked("Debian mirror", "to fetch packages", mirror),
        ]
    yield from means
    if not all(item.ok for item in means):
        return
    with suppress(HostError):  # which the question for the packages raises again
        apt.fetch_indexes(lacking.indexes)
    for name, why, find in _of_mirror(lacking, apt):
        yield _asked(name, why, find)


def _of_mirror(lacking: Lacking, apt: Apt) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Each thing to fetch: its name, why it is needed, and how the mirror is asked for it."""
    for wanted in lacking.packages:
        name = f"{wanted.architecture} packages of {wanted.suite}"
        yield name, "for the images", partial(_packages, apt, wanted)
    for system in lacking.systems:
        name = f"packages of a full Debian {system.suite}"
        yield name, "for the system to be crashed", partial(_all_packages, apt, system)
    for suite in lacking.distributions:
        yield f"kernel of Debian {suite}", "to be crashed", partial(package_name, apt, suite)
    for source in lacking.sources:
        name = f"{source.name} of {source.suite}"
        yield name, "to build kernels", partial(_archive, apt, source)


def _packages(apt: Apt, wanted: PackageSet) -> str:
    size = apt.find(wanted.names, wanted.architecture, wanted.suite)
    return f"{len(wanted.names)}, {size / 1e6:.1f} MB to fetch"


def _all_packages(apt: Apt, system: SystemPackages) -> str:
    found = apt.resolve(system.names, ARCHITECTURE, system.suite)
    return f"{len(found.names)}, {found.bytes / 1e6:.1f} MB to fetch"


def _archive(apt: Apt, source: SourcePackage) -> str:
    return f"{source.find(apt) / 1e6:.1f} MB to fetch"


def _asked(name: str, why: str, find: Callable[[], str]) -> Item:
    """An item that is missing if ``find`` raises HostError."""
    try:
        return Item(name, True, find(), why)
    except HostError as error:
        return Item(name, False, error.message, why, error.hint or "")


def _keyring() -> str:
    require_keyring()
    return str(KEYRING)


def _tools(tools: dict[str, str]) -> Iterator[Item]:
    for tool, why in tools.items():
        try:
            yield Item(tool, True, find_tool(tool), why)
        except HostError:
            yield Item(tool, False, "not found", why, how_to_get((tool,)))


def _header() -> Item:
    """A gcc alone cannot compile C: the headers of the C library are in a separate package."""
    why, fix = "to build kernels (host tools)", how_to_get(("gcc",))
    command = ["gcc", "-fsyntax-only", "-include", _HEADER, "-x", "c", os.devnull]
    try:
        found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        found = False
    return Item("C headers", found, _HEADER if found else f"no {_HEADER}", why, fix)


def _qemu() -> Item:
    def find() -> str:
        binary = find_qemu()
        return f"{binary.release} at {binary.path}"

    return _asked("QEMU", "to be the machine", find)


def _memory() -> Item:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) << 10
    why = f"a run of the main job takes up to {MEMORY >> 30} GiB"
    fix = "end other programs that use memory on this host"
    return Item("memory", available >= MEMORY, f"{available / 1e9:.1f} GB available", why, fix)


def _disk(store: Path, needed: int) -> Item:
    why = f"kernel sources, builds and images take up to {needed >> 30} GiB"
    store = store.absolute()
    try:
        existing = next(path for path in (store, *store.parents) if _exists(path))
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Item("disk", False, f"{store}: {error.strerror}", "for images", _OTHER_STORE)
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        found = f"{store}: {existing} is no directory that can be written"
        return Item("disk", False, found, "for images", _OTHER_STORE)
    found = f"{free / 1e9:.1f} GB free for {store}"
    return Item("disk", free >= needed, found, why, f"free some, or {_OTHER_STORE}")


def _exists(path: Path) -> bool:
    """Raises OSError if that cannot be found out; Path.exists does not, from Python 3.14 on."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _memory_files() -> Item:
    """Guest memory is an anonymous memory file, so /dev/shm is not needed and not used."""
    why, fix = "for guest memory", "run on Linux, where memfd_create(2) is allowed"
    try:
        os.close(os.memfd_create("zharness-doctor"))
    except OSError as error:
        return Item("memory files", False, f"memfd_create: {error.strerror}", why, fix)
    return Item("memory files", True, "memfd_create works; /dev/shm is not used", why)
