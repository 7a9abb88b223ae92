"""The kernel of a Debian system, and the packages of its suite that belong to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from harness.errors import HostError, UsageError
from harness.images.debian.apt import Apt, host_architecture
from harness.images.debian.packages import ARCHITECTURE

_FLAVOUR = f"-{ARCHITECTURE}"
# deb-control(5): names, each with the versions that will do, and alternatives to it
_KBUILD = re.compile(r"(?:^|,)\s*(linux-kbuild-[a-z0-9.+-]+)")


@dataclass(frozen=True)
class DebianKernel:
    """A kernel package: ``release`` is what ``uname -r`` prints, ``version`` the package's."""

    release: str
    version: str
    suite: str

    @classmethod
    def of(cls, packages: Mapping[str, str], suite: str, release: str) -> Self:
        """The kernel ``release`` of a system with these packages (name -> version).

        Raises UsageError if it is not from a package.
        """
        version = packages.get(_image(release))
        if version is None:
            raise UsageError(
                f"the system has no package {_image(release)}, so kernel {release} is not Debian's",
                hint="only the distribution's own kernel has packages of debug symbols and headers",
            )
        return cls(release, version, suite)

    @property
    def debug_symbols(self) -> str:
        """The package with its vmlinux."""
        return f"{_image(self.release)}-dbg"

    @property
    def headers(self) -> tuple[str, ...]:
        """Packages with what a module is compiled against."""
        common = f"{self.release.removesuffix(_FLAVOUR)}-common"
        return (f"linux-headers-{self.release}", f"linux-headers-{common}")

    def pinned(self, *names: str) -> tuple[str, ...]:
        """Packages in the kernel's own version, as apt takes them."""
        return tuple(f"{name}={self.version}" for name in names)

    def require(self, apt: Apt, names: Sequence[str], *, native: bool = False) -> int:
        """The bytes to fetch for packages in the kernel's own version.

        ``native`` ones are for this host. Raises HostError if the suite does not have them in
        this version, which is what happens when it has got a newer kernel.
        """
        architecture = host_architecture() if native else ARCHITECTURE
        pinned = self.pinned(*names)
        size = apt.size(pinned, architecture, self.suite)
        if size is None:
            raise HostError(
                f"Debian's suite {self.suite} does not have all {architecture} packages that "
                f"belong to kernel {self.release} of the system: {', '.join(pinned)}",
                hint="the suite has another kernel by now: remove the system's images, so that "
                "they are built with it (zharness images clean packages-system)",
            )
        return size


def kbuild_of(depends: str) -> str | None:
    """The package with the programs that build modules, from what a headers package depends on."""
    match = _KBUILD.search(depends)
    return match and match[1]


def _image(release: str) -> str:
    return f"linux-image-{release}"
