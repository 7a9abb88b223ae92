"""What a full system is made of, as plain data."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file
from harness.images.debian.apt import SUITES
from harness.images.kernel.build import Kernel
from harness.images.system.packages import SystemPackages
from harness.printable import printable

SUITE = "bookworm"
SIZE = 2 << 30
_ARROW = "=>"
_SUITE = re.compile(r"[a-z][a-z0-9-]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian policy 5.6.7
_SCRIPT = b"#!"


@dataclass(frozen=True)
class GuestFile:
    """A file of the host that the system gets; ``target`` is absolute."""

    source: Path
    target: PurePosixPath

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``HOSTPATH => /guest/path``; raises UsageError."""
        source, arrow, target = (part.strip() for part in text.rpartition(_ARROW))
        if not (source and arrow and target):
            raise UsageError(
                f"'{text}' does not say where a file goes", hint="write HOSTPATH => /guest/path"
            )
        return cls(Path(source), PurePosixPath(target))

    def __post_init__(self) -> None:
        """Raises UsageError for a place that is none, or that the kernel makes."""
        path = self.target
        odd = ".." in path.parts or not path.name or not str(path).isprintable()
        if odd or not path.is_absolute():
            raise UsageError(
                f"'{printable(str(path))}' is no place for {self.source} in the system",
                hint="name an absolute path without .. and control characters",
            )
        if path.parts[1] in ("proc", "sys", "dev", "run", "tmp"):
            raise UsageError(
                f"'{path}' is no place for {self.source}: /{path.parts[1]} is not on the disk",
                hint="name another directory, such as /root or /usr/local/bin",
            )

    def require(self) -> None:
        """Raises UsageError unless the host has the file, HostError if that is not known."""
        require_file(self.source, "file")

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"{self.source} {_ARROW} {self.target}"

    @property
    def mode(self) -> int:
        """Permissions on the host, without those of others to write."""
        return stat.S_IMODE(self.source.stat().st_mode) & 0o755 | 0o444


@dataclass(frozen=True)
class SystemSpec:
    """A full Debian. ``packages`` come on top of those that every system has.

    ``first_boot`` is a script that runs once. ``kernel`` replaces the distribution's, without
    initramfs. ``parmline`` comes behind the one that the system needs. ``size`` is that of the
    disk in bytes.
    """

    suite: str = SUITE
    packages: tuple[str, ...] = ()
    files: tuple[GuestFile, ...] = ()
    first_boot: Path | None = None
    kernel: Kernel | None = field(default=None)
    parmline: str = ""
    size: int = SIZE

    @property
    def all_packages(self) -> SystemPackages:
        return SystemPackages(self.suite, self.packages)

    def check(self) -> None:
        """Raises UsageError for what can be known to be wrong before anything is fetched."""
        check_names(self.suite, self.packages)
        for file in self.files:
            file.require()
        if self.first_boot is not None:
            _require_script(self.first_boot)


def check_names(suite: str, packages: tuple[str, ...]) -> None:
    """Raises UsageError for what is no name of a suite or a package."""
    if not _SUITE.fullmatch(suite):
        raise UsageError(f"'{suite}' is no name of a suite", hint=f"such as {', '.join(SUITES)}")
    for name in packages:
        if not _PACKAGE.fullmatch(name):
            raise UsageError(f"'{name}' is no name of a Debian package")


def _require_script(path: Path) -> None:
    require_file(path, "first-boot script")
    try:
        with path.open("rb") as file:
            begin = file.read(len(_SCRIPT))
    except OSError as error:
        raise unusable(f"first-boot script {path}", error) from error
    if begin != _SCRIPT:
        raise UsageError(
            f"first-boot script {path} does not begin with #!", hint="such as #!/bin/sh"
        )
