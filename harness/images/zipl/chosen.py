"""A zipl other than the images' own: of a Debian suite, or of a tree that the user gives.

The builder guest runs it, so it has to be a program for s390x. Where it looks for its own files is
compiled into it (s390-tools ``zipl/include/zipl.h``, ``zipl/src/bootmap.c``).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import UsageError
from harness.images.debian.packages import ROOT, USER_SPACE, unpacked, zipl_set
from harness.images.initramfs.cpio import Entry
from harness.images.store import Store, sha256
from harness.images.zipl.choice import is_path
from harness.images.zipl.program import Program, read_program
from harness.progress import Progress

PROGRAM = "sbin/zipl"  # in the builder guest
_TOOLS = "/lib/s390-tools"
_LIBRARIES = "lib/s390x-linux-gnu"
_STAGE3 = "stage3.bin"

# a source tree after make, then what make install or a package leaves
_PROGRAMS = ("zipl/src/zipl", "usr/sbin/zipl", "sbin/zipl", "usr/local/sbin/zipl")
_STAGES = (
    "zipl/boot",
    "usr/lib/s390-tools",
    "lib/s390-tools",
    "usr/lib64/s390-tools",
    "usr/local/lib/s390-tools",
)
_LIBRARY_DIRECTORIES = (
    "usr/s390x-linux-gnu/lib",
    "usr/lib/s390x-linux-gnu",
    "lib/s390x-linux-gnu",
    "usr/lib64",
    "lib64",
    "usr/lib",
    "lib",
)
_MOST_LIBRARIES = 32
_MOST_STAGES = 64
_LARGEST_STAGE = 1 << 20  # bytes; stage3.bin of s390-tools 2.40 has 25 KiB

_TOOLS_OF = re.compile(rb"\0(/[\w./+-]{1,200})/zfcpdump/zfcpdump-image\0")
_VERSION = re.compile(rb"\0(\d+\.\d+\.\d+[\w.+~-]{0,40}-build-\d{1,20})\0")


@dataclass(frozen=True)
class Zipl:
    """A zipl under test: what people call it, its files in the builder guest, and its identity.

    ``identity`` is JSON: version, origin, and packages or files with their digests.
    """

    name: str
    files: tuple[Entry, ...]
    identity: Mapping[str, Any]


def chosen_zipl(store: Store, progress: Progress, choice: str) -> Zipl:
    """The zipl of a suite, or at a path; see ``is_path``.

    Raises UsageError if the path lacks something, HostError if packages cannot be fetched.
    """
    if is_path(choice):
        libraries = unpacked(store, progress, USER_SPACE).path / ROOT
        return _at(Path(choice), libraries)
    packages = unpacked(store, progress, zipl_set(choice))
    entries = packages.manifest["packages"]
    version = next(str(each["version"]) for each in entries if each["name"] == "s390-tools")
    files, _ = _files(packages.path / ROOT, packages.path / ROOT)
    identity = {"version": version, "suite": choice, "packages": entries}
    return Zipl(f"zipl {version} of {choice}", files, identity)


def _at(root: Path, libraries: Path) -> Zipl:
    if not root.is_dir():
        raise UsageError(
            f"zipl: {root} is not a directory",
            hint="name a tree of s390-tools that was built for s390x, or where it is installed",
        )
    files, sources = _files(root, libraries)
    program = next(file.data for file in files if file.name == PROGRAM)
    found = _VERSION.search(program)
    version = found[1].decode() if found else "of unknown version"
    digests = {f"/{name}": sha256(source) for name, source in sources.items()}
    identity = {"version": version, "path": str(root.resolve()), "files": digests}
    return Zipl(f"zipl {version} at {root}", files, identity)


def _files(root: Path, libraries: Path) -> tuple[tuple[Entry, ...], dict[str, Path]]:
    """The files for the guest, and where each is from; a library may be from ``libraries``."""
    program_path = _first(root, _PROGRAMS, "zipl")
    stages = _first(root, tuple(f"{place}/{_STAGE3}" for place in _STAGES), _STAGE3).parent
    program = read_program(program_path, "zipl")
    sources = {PROGRAM: program_path}
    if program.interpreter is not None:
        loader = PurePosixPath(program.interpreter)
        sources[str(loader).lstrip("/")] = _library(loader.name, root, libraries, program_path)
        sources |= _needed(program, program_path, root, libraries)
    entries = [_file(name, source) for name, source in sources.items()]
    for stage in sorted(stages.glob("*.bin"))[:_MOST_STAGES]:
        entries.append(_stage(stage))
        sources[entries[-1].name] = stage
    return (*_with_directories(entries), *_links(program.content)), sources


def _first(root: Path, places: tuple[str, ...], what: str) -> Path:
    for place in places:
        if (root / place).is_file():
            return root / place
    raise UsageError(f"zipl: {root} has no {what}", hint=f"it is looked for as {', '.join(places)}")


def _needed(program: Program, path: Path, root: Path, fallback: Path) -> dict[str, Path]:
    """The libraries of a program, and those of the libraries."""
    found: dict[str, Path] = {}
    waiting = [(name, path) for name in program.needed]
    while waiting:
        name, user = waiting.pop()
        place = f"{_LIBRARIES}/{name}"
        if place in found or name == "ld64.so.1":
            continue
        if len(found) == _MOST_LIBRARIES:
            raise UsageError(f"zipl: {path} needs more than {_MOST_LIBRARIES} libraries")
        found[place] = _library(name, root, fallback, user)
        needed = read_program(found[place], "library").needed
        waiting += [(each, found[place]) for each in needed]
    return found


def _library(name: str, root: Path, fallback: Path, user: Path) -> Path:
    """A library, or the dynamic loader: of the tree, else the images' own."""
    for place in (root, fallback):
        for directory in _LIBRARY_DIRECTORIES:
            path = place / directory / name
            if "/" not in name and path.is_file():
                return path
    raise UsageError(
        f"zipl: {user} needs the library {name}, which is not there",
        hint=f"put it into lib/s390x-linux-gnu of {root}, or link zipl statically",
    )


def _file(name: str, source: Path) -> Entry:
    return Entry(name, stat.S_IFREG | 0o755, read_program(source, "zipl's file").content)


def _stage(path: Path) -> Entry:
    size = path.stat().st_size
    if not 0 < size <= _LARGEST_STAGE:
        raise UsageError(f"zipl: {path} has {size} bytes, which no boot stage of zipl has")
    return Entry(f"{_TOOLS}/{path.name}".lstrip("/"), stat.S_IFREG | 0o644, path.read_bytes())


def _links(program: bytes) -> Iterator[Entry]:
    """Links from where this zipl looks for its files to where the guest has them."""
    found = _TOOLS_OF.search(program)
    tools = PurePosixPath(found[1].decode()) if found else PurePosixPath(_TOOLS)
    if str(tools) == _TOOLS or ".." in tools.parts:
        return
    link = Entry(str(tools).lstrip("/"), stat.S_IFLNK | 0o777, _TOOLS.encode())
    yield from _with_directories([link])


def _with_directories(entries: list[Entry]) -> Iterator[Entry]:
    """The entries, each after the directories that lead to it."""
    made: set[str] = set()
    for entry in entries:
        for parent in reversed(PurePosixPath(entry.name).parents):
            name = str(parent)
            if name not in (".", *made):
                made.add(name)
                yield Entry(name, stat.S_IFDIR | 0o755)
        yield entry
