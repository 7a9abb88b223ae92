"""One Debian package file, read with dpkg-deb: its control fields, its scripts, its files.

Reference: deb(5), deb-control(5).
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import BuildError
from harness.host.child import dying_with_us
from harness.host.tools import find_tool

CONTROL = "control"
_FIELD = re.compile(r"([^\s:]+):[ \t]*(.*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian policy 5.6.7
_INFO_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_CHUNK = 1 << 20
_CONTROL_LIMIT = 16 << 20  # bytes; the largest of Debian 12 has less than 1 MiB


@dataclass(frozen=True)
class Deb:
    """A package: the text of its control file, and its other control files by name."""

    path: Path
    control: str
    info: Mapping[str, bytes]

    @classmethod
    def read(cls, path: Path) -> Deb:
        """Raises BuildError if it is not a package."""
        files: dict[str, bytes] = {}
        with _tar(path, "--ctrl-tarfile") as members:
            for member, data in members:
                name = member.name.removeprefix("./")
                if not member.isfile() or data is None:
                    continue
                if not _INFO_NAME.fullmatch(name) or member.size > _CONTROL_LIMIT:
                    raise BuildError(f"package {path.name}: control file {name!r} is not allowed")
                files[name] = data.read()
        if CONTROL not in files:
            raise BuildError(f"package {path.name} has no control file")
        control = files.pop(CONTROL).decode("utf-8", errors="surrogateescape").strip("\n") + "\n"
        deb = cls(path, control, files)
        if not _NAME.fullmatch(deb.name):
            raise BuildError(f"package {path.name}: {deb.name!r} is no name of a package")
        return deb

    def field(self, name: str) -> str:
        """The first line of a control field; "" if there is none."""
        for line in self.control.splitlines():
            match = _FIELD.fullmatch(line)
            if match and match[1].lower() == name.lower():
                return match[2].strip()
        return ""

    @property
    def name(self) -> str:
        return self.field("Package")

    @property
    def version(self) -> str:
        return self.field("Version")

    @property
    def conffiles(self) -> tuple[str, ...]:
        """Absolute paths; those that an upgrade removes are not there (deb-conffiles(5))."""
        lines = self.info.get("conffiles", b"").decode(errors="surrogateescape").splitlines()
        return tuple(line.strip() for line in lines if line.startswith("/"))

    @contextmanager
    def files(self) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]]:
        """The files to install, each with its content if it has one; one after the other."""
        with _tar(self.path, "--fsys-tarfile") as members:
            yield members


@contextmanager
def _tar(path: Path, which: str) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]]:
    command = dying_with_us([find_tool("dpkg-deb"), which, str(path)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        damage = ""
        try:
            yield _members(child.stdout)
            while child.stdout.read(_CHUNK):
                pass  # what is behind the end of the archive: padding
        except tarfile.TarError as error:
            damage = str(error)
        child.stdout.close()
        said = child.stderr.read().decode(errors="replace").strip()
        if child.wait() or damage:
            reason = (said.splitlines() or [damage])[0]
            raise BuildError(f"package {path.name} cannot be unpacked: {reason}")


def _members(stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            yield member, archive.extractfile(member) if member.isfile() else None
