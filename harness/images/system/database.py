"""dpkg's database of packages that are unpacked and not configured yet.

References: dpkg(1), deb-triggers(5); dpkg 1.21 lib/dpkg/dump.c (status), infodb-format.c (names of
the files in info/), trignote.c and triglib.c (interests in triggers), src/main/unpack.c.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.images.system.deb import Deb
from harness.images.system.tree import Tree

ADMIN = "/var/lib/dpkg"
_FORMAT = b"1\n"  # names of Multi-Arch: same packages have the architecture
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_EMPTY = ("available", "diversions", "statoverride")
_INTEREST = re.compile(r"interest(?:-await|(-noawait))?\s+(\S+)")


@dataclass(frozen=True)
class Unpacked:
    """A package that is unpacked in a tree, with the paths of its files, absolute."""

    deb: Deb
    paths: tuple[str, ...]


def unpack(deb: Deb, tree: Tree) -> Unpacked:
    """Unpack the files of a package; raises BuildError for what a package may not have."""
    with deb.files() as members:
        return Unpacked(deb, tuple(tree.add(member, data) for member, data in members))


def write_database(tree: Tree, packages: Sequence[Unpacked]) -> None:
    """Write what dpkg --unpack would have left."""
    for name in _EMPTY:
        tree.write(f"{ADMIN}/{name}", b"")
    tree.write(f"{ADMIN}/info/format", _FORMAT)
    for package in packages:
        _write_info(tree, package)
    status = "\n".join(stanza(package.deb, _digests(tree, package.deb)) for package in packages)
    tree.write(f"{ADMIN}/status", status.encode("utf-8", errors="surrogateescape"))
    _write_triggers(tree, [package.deb for package in packages])


def stanza(deb: Deb, conffiles: Sequence[tuple[str, str]]) -> str:
    """The entry of an unpacked package in ``status``; ``conffiles`` with their MD5 digests."""
    first, *rest = deb.control.splitlines(keepends=True)
    lines = [first, "Status: install ok unpacked\n", *rest]
    if conffiles:
        lines += ["Conffiles:\n", *(f" {path} {digest}\n" for path, digest in conffiles)]
    return "".join(lines)


def info_name(deb: Deb) -> str:
    """The first part of the names of a package's files in ``info``."""
    same = deb.field("Multi-Arch") == "same"
    return f"{deb.name}:{deb.field('Architecture')}" if same else deb.name


def interests(deb: Deb) -> Iterator[tuple[str, str]]:
    """Each trigger that a package is interested in, and how dpkg writes down who is."""
    for line in deb.info.get("triggers", b"").decode().splitlines():
        match = _INTEREST.fullmatch(line.partition("#")[0].strip())
        if match:
            yield match[2], f"{info_name(deb)}{'/noawait' if match[1] else ''}"


def _write_info(tree: Tree, package: Unpacked) -> None:
    place = f"{ADMIN}/info/{info_name(package.deb)}"
    listing = "".join(f"{path}\n" for path in package.paths)
    tree.write(f"{place}.list", listing.encode("utf-8", errors="surrogateescape"))
    for name, content in package.deb.info.items():
        tree.write(f"{place}.{name}", content, 0o755 if name in _SCRIPTS else 0o644)


def _digests(tree: Tree, deb: Deb) -> list[tuple[str, str]]:
    found = []
    for path in deb.conffiles:
        place = tree.find(path)
        if place is not None:
            digest = hashlib.md5(place.read_bytes(), usedforsecurity=False).hexdigest()
            found.append((path, digest))
    return found


def _write_triggers(tree: Tree, debs: Sequence[Deb]) -> None:
    """The interests: those in files are in one file, each other trigger has its own."""
    files: list[str] = []
    named: dict[str, list[str]] = {}
    for deb in debs:
        for trigger, who in interests(deb):
            if trigger.startswith("/"):
                files.append(f"{trigger} {who}\n")
            else:
                named.setdefault(trigger, []).append(f"{who}\n")
    tree.write(f"{ADMIN}/triggers/File", "".join(files).encode())
    tree.write(f"{ADMIN}/triggers/Unincorp", b"")
    for trigger, lines in named.items():
        tree.write(f"{ADMIN}/triggers/{trigger}", "".join(lines).encode())
