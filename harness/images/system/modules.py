"""The drivers that a distribution's kernel needs for its root disk, in the order of their loading.

A package has no modules.dep: depmod makes it when the package is configured. Each module names
those that it needs itself (Linux scripts/mod/modpost.c: "depends=" in section .modinfo).
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import BuildError
from harness.images.initramfs.cpio import Entry

# crc32c: ext4 asks the kernel's crypto API for it by name, until Linux 6.13
DRIVERS = ("virtio_scsi", "sd_mod", "crc32c_generic", "ext4")
_OPTIONAL = ("crc32c_generic",)
_SUFFIXES = (".ko", ".ko.xz")
_DEPENDS = re.compile(rb"(?:\A|\0)depends=([^\0]*)\0")
_DIRECTORY_MODE, _FILE_MODE = 0o040755, 0o100644
PLACE = "modules"  # in the initramfs; its file "order" has a name on each line


def driver_entries(tree: Path) -> Iterator[Entry]:
    """Entries of an initramfs: the drivers below ``tree``, which has the modules of one kernel.

    Raises BuildError if one is missing.
    """
    modules = needed(_found(tree), DRIVERS)
    yield Entry(PLACE, _DIRECTORY_MODE)
    for name, content in modules.items():
        yield Entry(f"{PLACE}/{name}.ko", _FILE_MODE, content)
    yield Entry(f"{PLACE}/order", _FILE_MODE, "".join(f"{name}\n" for name in modules).encode())


def needed(files: Mapping[str, Path], names: Sequence[str]) -> dict[str, bytes]:
    """``names`` and all they depend on, each behind what it depends on; their content."""
    done: dict[str, bytes] = {}

    def take(name: str, wanted_by: tuple[str, ...]) -> None:
        if name in done or name in wanted_by:
            return
        if name not in files:
            if name in _OPTIONAL:
                return
            raise BuildError(f"the kernel's package has no module {name}")
        content = _content(files[name])
        for each in _depends(content):
            take(each, (*wanted_by, name))
        done[name] = content

    for name in names:
        take(name, ())
    return done


def _found(tree: Path) -> dict[str, Path]:
    """Every module by its name in the kernel, where "-" is "_"."""
    found = {}
    for suffix in _SUFFIXES:
        for path in tree.rglob(f"*{suffix}"):
            found[path.name.removesuffix(suffix).replace("-", "_")] = path
    return found


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except lzma.LZMAError as error:
        raise BuildError(f"module {path.name} cannot be decompressed: {error}") from error


def _depends(module: bytes) -> list[str]:
    match = _DEPENDS.search(module)
    names = match[1].decode(errors="replace").split(",") if match else []
    return [name.replace("-", "_") for name in names if name]
