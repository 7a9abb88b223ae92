"""The ELF file of a kernel image: it has the symbols and types of the kernel in memory."""

from __future__ import annotations

import mmap
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from harness.errors import UsageError
from harness.files.vmlinux import build_id_of
from harness.host.paths import require_file
from harness.images.kernel import image as kernel_image
from harness.images.store import sha256

_NOTE_HEADER = b"".join(size.to_bytes(4, "big") for size in (4, 20, 3))  # NT_GNU_BUILD_ID
_OWNER = b"GNU\0"


@dataclass(frozen=True)
class Vmlinux:
    """A vmlinux that is known to belong to a kernel."""

    path: str
    sha256: str
    build_id: str | None  # hexadecimal; of its GNU build-id note, if it has one

    @classmethod
    def at(cls, path: Path, sha256: str) -> Self:
        """Raises UsageError if ``path`` is not an s390 vmlinux."""
        build_id = build_id_of(path)
        return cls(str(path.resolve()), sha256, build_id.hex() if build_id else None)

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)


def vmlinux_of(image: bytes, name: Path, path: Path) -> Vmlinux:
    """The vmlinux at ``path``, if it belongs to the kernel ``image``, which people call ``name``.

    The build-ids of both are compared; a build-id depends on the whole content. If the vmlinux has
    none, or the image cannot be decompressed, the versions are compared: release, builder, build
    number and time (Linux 6.12 ``arch/s390/boot/version.c``, ``init/version-timestamp.c``).
    Raises UsageError if they do not belong together, or if ``path`` is not an s390 vmlinux.
    """
    require_file(path, "vmlinux")
    build_id = build_id_of(path)
    note = _NOTE_HEADER + _OWNER + build_id if build_id else None
    held = note and kernel_image.holds(image, note, f"kernel {name}")
    if build_id and held is not None:
        same = bool(held)
        what = f"its build-id {build_id.hex()} is not in that"
    else:
        version = kernel_image.version(image)
        same = _has_banner(path, version)
        what = f"that is Linux version {version.decode(errors='replace') or 'unknown'}"
    if not same:
        raise UsageError(
            f"vmlinux {path} is not that of kernel {name}: {what}",
            hint="give the two that one build made",
        )
    return Vmlinux.at(path, sha256(path))


def _has_banner(path: Path, version: bytes) -> bool:
    """Whether the file has the kernel's first message, with the version and the compiler."""
    head, end, rest = version.partition(b") ")
    if not end:
        return False
    banner = rb"Linux version %b\) \([^\n\0]*\) %b\n" % (re.escape(head), re.escape(rest))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return re.search(banner, content) is not None
