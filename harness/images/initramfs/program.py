"""A program that the user gives, for a ramdisk without libraries."""

from __future__ import annotations

import struct
from pathlib import Path

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file

# elf(5): class, byte order; type, machine; offset, size and count of the program headers
_HEADER = struct.Struct(">4sBB10xHH12xQ14xHH6x")
_MAGIC, _CLASS64, _BIG_ENDIAN, _S390, _INTERP = b"\x7fELF", 2, 2, 22, 3
_SCRIPT = b"#!"


def require_program(path: Path) -> None:
    """Raises UsageError unless the dump system can run what is at ``path``; HostError if that
    cannot be read.

    It is a script, or an ELF program of s390x that needs no dynamic linker.
    """
    require_file(path, "program")
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            if head.startswith(_SCRIPT):
                return
            if not head.startswith(_MAGIC) or len(head) < _HEADER.size:
                raise UsageError(f"program {path} is neither a script nor an ELF program")
            _, wide, order, _, machine, at, size, count = _HEADER.unpack(head)
            if (wide, order, machine) != (_CLASS64, _BIG_ENDIAN, _S390):
                raise UsageError(f"program {path} is not of s390x")
            file.seek(min(at, path.stat().st_size))
            kinds = [file.read(size)[:4] for _ in range(count)]
    except OSError as error:
        raise unusable(f"program {path}", error) from error
    if struct.pack(">I", _INTERP) in kinds:
        raise UsageError(
            f"program {path} needs a dynamic linker, and its ramdisk has no libraries",
            hint="link it with -static",
        )
