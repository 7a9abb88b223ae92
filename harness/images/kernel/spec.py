"""The description of a kernel to build, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.s390x.disk_layout import DiskLayout
from harness.schema_words import did_you_mean

PATCH_SUFFIX = ".patch"
# in place of a kernel image: the kernel that Debian built, of bookworm or of the suite named here
DISTRIBUTION = r"debian(?:@([a-z][a-z0-9-]{0,31}))?"
_SUITE = "bookworm"


class Role(StrEnum):
    """What a kernel is for; each has its fragment in ``images/kernel``."""

    DUMP = "dump"
    CRASHED = "crashed"  # below busybox
    SYSTEM = "system"  # below a full system, which crashes as well

    @property
    def crashes(self) -> bool:
        """Whether it is dumped; otherwise it dumps."""
        return self is not Role.DUMP

    @property
    def section(self) -> str:
        """The section of a scenario that describes a kernel with this role."""
        return str(Role.CRASHED if self.crashes else Role.DUMP)


@dataclass(frozen=True)
class KernelSpec:
    """A kernel to build: its role, its source, its patches and its configuration.

    ``source`` is what :func:`harness.images.kernel.source.kernel_source` takes; None is Linux
    6.12 of Debian 13. ``patches`` are files for ``patch -p1``, or names of those that come
    with the harness; ``configuration`` are lines of a configuration, which override the role's.
    A kernel that is not ``trimmed`` has everything of its base configuration. ``built_in``
    is an initramfs that becomes a part of the image: a cpio archive, compressed with gzip.
    """

    role: Role
    source: str | None = None
    patches: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    trimmed: bool = True
    built_in: Path | None = None

    @property
    def fragments(self) -> tuple[Path, ...]:
        """The role's own fragments of a configuration; a later one overrides an earlier one."""
        directory = data_dir() / "images" / "kernel"
        trim = directory / f"{self.role}.trim.config"
        # a full system dies in the same ways
        shared = (directory / f"{Role.CRASHED}.config",) if self.role is Role.SYSTEM else ()
        own = (*shared, directory / f"{self.role}.config")
        return (*own, trim) if self.trimmed and trim.exists() else own

    @property
    def patch_files(self) -> tuple[Path, ...]:
        """Raises UsageError for a name that is not a patch of the harness."""
        return tuple(map(_patch_file, self.patches))


def distribution_suite(word: str) -> str | None:
    """The suite of ``debian`` or ``debian@SUITE``; None for anything else."""
    match = re.fullmatch(DISTRIBUTION, word)
    return match and (match[1] or _SUITE)


def driver_of(layout: DiskLayout) -> str:
    """The line of a configuration that gives a kernel the file system."""
    return f"CONFIG_{layout.upper()}_FS=y"


def reading_kernel(layout: DiskLayout) -> KernelSpec:
    """The harness's own dump kernel with a driver for the file system, whatever wrote to it."""
    return KernelSpec(Role.DUMP, configuration=(driver_of(layout),))


def museum() -> dict[str, Path]:
    """The patches that bring back a real bug each, by name."""
    return _patches("museum")


def own_patches() -> dict[str, Path]:
    """All patches that come with the harness, by name: of real bugs, of made-up faults, others."""
    return museum() | _patches("faults") | _patches(".")


def _patches(directory: str) -> dict[str, Path]:
    found = (data_dir() / "images" / "kernel" / directory).glob(f"*{PATCH_SUFFIX}")
    return {path.stem: path for path in sorted(found)}


def _patch_file(name: str) -> Path:
    if name.endswith(PATCH_SUFFIX):
        return Path(name)
    known = own_patches()
    if name not in known:
        hint = did_you_mean(name, known) or "zharness kernel museum shows them"
        raise UsageError(f"no patch '{name}' comes with the harness", hint=hint)
    return known[name]
