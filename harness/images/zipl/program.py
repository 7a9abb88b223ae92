"""A program or library for s390x that the user gives."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file

_LARGEST = 64 << 20  # bytes
_MOST_NEEDED = 64


@dataclass(frozen=True)
class Program:
    """An ELF file: its bytes, its dynamic loader (none if it is static), the libraries it needs."""

    content: bytes
    interpreter: str | None
    needed: tuple[str, ...]


def read_program(path: Path, what: str) -> Program:
    """Raises UsageError, with ``what`` and ``path``, unless it is a program or library of s390x."""
    require_file(path, what)
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{what} {path} has more than {_LARGEST} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise unusable(f"{what} {path}", error) from error
    try:
        elf = ELFFile(io.BytesIO(content))
        if elf["e_machine"] != "EM_S390" or elf.elfclass != 64:
            raise UsageError(
                f"{what} {path} is not of s390x, but of {elf.get_machine_arch()}",
                hint="the builder guest is an s390x machine: compile it for s390x",
            )
        return Program(content, *_dynamic(elf))
    except (ELFError, ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
        raise UsageError(f"{what} {path} is not an ELF file: {error}") from error


def _dynamic(elf: ELFFile) -> tuple[str | None, tuple[str, ...]]:
    interpreter, needed = None, []
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = str(segment.get_interp_name())
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags("DT_NEEDED"):
                needed.append(str(getattr(tag, "needed", "")))
                if len(needed) > _MOST_NEEDED:
                    raise ELFError(f"it needs more than {_MOST_NEEDED} libraries")
    return interpreter, tuple(needed)
