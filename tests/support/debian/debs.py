"""Small Debian packages, made with dpkg-deb."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


def make_deb(
    directory: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    links: Mapping[str, str] = MappingProxyType({}),
    depends: str = "",
    architecture: str = "s390x",
) -> Path:
    """A package below ``directory``; returns the ``.deb`` file.

    ``files`` are name -> text, ``links`` name -> target.
    """
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    fields = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
    fields += f"Depends: {depends}\n" if depends else ""
    (tree / "DEBIAN" / "control").write_text(f"{fields}Maintainer: nobody\nDescription: none\n")
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    for path, target in links.items():
        (tree / path).symlink_to(target)
    deb = directory / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)],
        check=True,
        capture_output=True,
    )
    return deb
