"""Debian packages made by hand, also such as no tool would make (deb(5))."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTROL = """\
Package: {name}
Version: 1.0-1
Architecture: s390x
Maintainer: Nobody <nobody@example.org>
Description: a package
 of which the second line goes on
"""

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x", mode: int = 0o644, uid: int = 0, gid: int = 0) -> Member:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uid, member.gid = len(content), mode, uid, gid
    return member, content


def directory(name: str, mode: int = 0o755, gid: int = 0) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.gid = tarfile.DIRTYPE, mode, gid
    return member, b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def hard_link(name: str, target: str) -> Member:
    return link(name, target, tarfile.LNKTYPE)


def device(name: str) -> Member:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member, b""


def archive(members: Sequence[Member]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def make_deb(
    path: Path,
    members: Sequence[Member],
    info: Mapping[str, str] | None = None,
    control: str = CONTROL,
) -> Path:
    """A package with these files; ``info`` has control files beside ``control``."""
    name = path.name.partition("_")[0].removesuffix(".deb")
    files = {"control": control.format(name=name), **(info or {})}
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": archive([file(f"./{key}", text.encode()) for key, text in files.items()]),
        "data.tar": archive(members),
    }
    with path.open("xb") as out:
        out.write(b"!<arch>\n")
        for key, content in parts.items():
            out.write(f"{key:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            out.write(content + b"\n" * (len(content) % 2))
    return path
