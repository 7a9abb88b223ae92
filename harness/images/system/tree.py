"""A root file system in a directory of the host, made without root and without following links.

The host's user owns all files. Who is to own them in the file system, and modes that the user
cannot have, are remembered (``Tree.special``).
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import BuildError

_MERGED = ("bin", "lib", "sbin")  # links to usr/, as every Debian since 12 has them
_MOST_LINKS = 40  # as Linux (path_resolution(7))
_DIRECTORY, _FILE = 0o755, 0o644
_READABLE, _SEARCHABLE = 0o600, 0o700  # what the host's user needs to copy a file, a directory


@dataclass(frozen=True)
class Special:
    """Owner and mode (without file type) of a file that is not simply root's."""

    uid: int
    gid: int
    mode: int


@dataclass
class Tree:
    """The directory ``root``; ``special`` has paths in it, relative, without links."""

    root: Path
    special: dict[str, Special] = field(default_factory=dict)
    _places: dict[tuple[str, ...], Path] = field(default_factory=dict)

    @classmethod
    def create(cls, root: Path) -> Tree:
        """A new tree with merged /usr."""
        for name in _MERGED:
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        return cls(root)

    def add(self, member: tarfile.TarInfo, data: IO[bytes] | None) -> str:
        """Unpack one member of a package; returns its absolute path as dpkg lists it.

        Raises BuildError for one that a package may not have: a device, or a path with "..".
        """
        parts = _parts(member.name)
        try:
            if parts:
                self._add(member, data, parts)
        except OSError as error:
            if error.errno is None or error.filename is None:
                raise
            raise BuildError(f"cannot unpack {member.name!r}: {error.strerror}") from error
        return "/" + "/".join(parts) if parts else "/."

    def write(self, path: str, content: bytes, mode: int = _FILE) -> None:
        """A file of root's, in place of one that is there; ``path`` is absolute."""
        member = tarfile.TarInfo(path.lstrip("/"))
        parts = _parts(member.name)
        place = self._free(parts)
        place.write_bytes(content)
        self._own(place, member, mode, _READABLE)

    def find(self, path: str) -> Path | None:
        """Where a regular file of the tree is on the host; None if there is none."""
        *parents, name = _parts(path.lstrip("/"))
        try:
            place = self._directory(tuple(parents), make=False) / name
            return place if stat.S_ISREG(place.lstat().st_mode) else None
        except FileNotFoundError:
            return None

    def _add(self, member: tarfile.TarInfo, data: IO[bytes] | None, parts: tuple[str, ...]) -> None:
        if member.isdir():
            place = self._directory(parts)
            self._own(place, member, member.mode, _SEARCHABLE)
        elif member.issym():
            if _is_merged(parts, member.linkname):
                return
            self._free(parts).symlink_to(member.linkname)
        elif member.islnk():
            *parents, name = _parts(member.linkname)
            source = self._directory(tuple(parents), make=False) / name
            os.link(source, self._free(parts), follow_symlinks=False)
        elif data is not None:
            place = self._free(parts)
            with place.open("xb") as file:
                shutil.copyfileobj(data, file, 1 << 20)
            self._own(place, member, member.mode, _READABLE)
        else:
            raise BuildError(f"the package has {member.name!r}, which is no file and no directory")

    def _own(self, place: Path, member: tarfile.TarInfo, mode: int, needed: int) -> None:
        mode &= 0o7777
        place.chmod(mode | needed)
        os.utime(place, (member.mtime, member.mtime))
        if member.uid or member.gid or mode & needed != needed:
            name = str(place.relative_to(self.root))
            self.special[name] = Special(member.uid, member.gid, mode)

    def _free(self, parts: tuple[str, ...]) -> Path:
        """The place for something that is no directory; what was there is removed."""
        place = self._directory(parts[:-1]) / parts[-1]
        if place.is_symlink() or place.exists():
            place.unlink()
            self.special.pop(str(place.relative_to(self.root)), None)
            self._places.clear()
        return place

    def _directory(self, parts: tuple[str, ...], *, make: bool = True) -> Path:
        """A directory of the tree; links on the way are followed within the tree."""
        if parts not in self._places:
            self._places[parts] = self.root.joinpath(*self._resolved(parts, make=make))
        return self._places[parts]

    def _resolved(self, parts: tuple[str, ...], *, make: bool) -> tuple[str, ...]:
        done: list[str] = []
        todo, links = list(reversed(parts)), 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]  # the parent of the root is the root
                continue
            place = self.root.joinpath(*done, part)
            if place.is_symlink():
                links += 1
                if links > _MOST_LINKS:
                    raise BuildError(f"/{'/'.join(parts)} has too many symbolic links")
                target = place.readlink()
                if target.is_absolute():
                    done.clear()
                todo += reversed([each for each in target.parts if each != "/"])
                continue
            if make and not place.exists():
                place.mkdir(_DIRECTORY)
            elif not place.is_dir():
                raise FileNotFoundError(2, "no such directory", str(place))
            done.append(part)
        return tuple(done)


def _parts(name: str) -> tuple[str, ...]:
    """The components of a member's name; raises BuildError if it leads out of the tree."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\n" in name:
        raise BuildError(f"the package has the path {name!r}, which leads out of its tree")
    return path.parts


def _is_merged(parts: tuple[str, ...], target: str) -> bool:
    """Whether this is one of the links to usr/, which are there."""
    return len(parts) == 1 and parts[0] in _MERGED and target == f"usr/{parts[0]}"


def files_below(root: Path) -> Iterator[Path]:
    """All regular files, no links."""
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink() and path.is_file():
                yield path
