"""The form of a bundle: a tar archive, compressed with Zstandard.

::

    bundle.json     the manifest: it comes first
    objects/SHA256  the content of the files, each content once

The manifest names each file, its size and the SHA-256 of its content. ``evidence/`` has the files
of the evidence without those that a replay makes again; the other files are named here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness.images import disk

VERSION = 1
MANIFEST, OBJECTS, EVIDENCE = "bundle.json", "objects", "evidence"
SUFFIX = ".tar.zst"
DUMP_DISK = disk.DISK  # as it was before the dump
VMLINUX = "vmlinux"  # the crashed kernel's
MODULES = "modules"  # files of the crashed kernel's modules that were loaded
DUMP_VMLINUX = "dump-vmlinux"
MANIFEST_BYTES = 4 << 20
MOST_FILES = 4096
MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1

# of a file: no path leads out of its directory, and a name in a tar archive has 100 bytes at most
_NAME = re.compile(
    rf"{DUMP_DISK}|{VMLINUX}|{DUMP_VMLINUX}|{MODULES}/[\w+-][\w.+-]*"
    rf"|{EVIDENCE}/((crash|dump)/)?[\w-][\w.-]*",
    re.ASCII,
)


def _inside(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a file in a bundle")
    return name


class Entry(BaseModel):
    """One file: ``size`` in bytes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    size: int = Field(ge=0, le=1 << 41)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """``name`` is that of the run's plan, ``result`` the result of its verdict."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: int = Field(ge=1, le=VERSION)
    harness: str
    name: str
    result: str
    files: dict[Annotated[str, AfterValidator(_inside)], Entry] = Field(max_length=MOST_FILES)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
