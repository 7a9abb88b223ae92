"""The build-id of a kernel, which identifies one build of it."""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.limits import require

_MAX_NOTES = 1 << 20  # bytes; Linux has a few hundred


def build_id_of(path: Path) -> bytes | None:
    """The build-id in the note of that name; None if there is none.

    Raises UsageError if ``path`` is not an s390 vmlinux.
    """
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_S390" or elf.elfclass != 64:
                raise UsageError(f"vmlinux {path} is not of s390x, but of {elf.get_machine_arch()}")
            read = 0
            for segment in elf.iter_segments():
                if not isinstance(segment, NoteSegment):
                    continue
                read += segment["p_filesz"]
                require(f"vmlinux {path}", "bytes of notes", read, _MAX_NOTES)
                for note in segment.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return bytes.fromhex(note["n_desc"])
    except OSError as error:
        raise unusable(f"vmlinux {path}", error) from error
    except (ELFError, ValueError, KeyError) as error:
        raise UsageError(f"vmlinux {path} is not an ELF file: {error}") from error
    return None
