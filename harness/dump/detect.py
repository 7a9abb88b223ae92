"""Which format a dump has, told by its content, never by its name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from harness.dump.c_elf import ELFMAG
from harness.dump.c_s390 import DF_S390_MAGIC, DF_S390_MAGIC_EXT
from harness.dump.content import Content, File
from harness.dump.elf import ElfDump
from harness.dump.reader import Dump
from harness.dump.s390 import S390Dump
from harness.dump.s390_ext import S390ExtDump
from harness.errors import EvidenceError

BUSY_MARKER = b"zfcpdump busy\0"  # what zfcpdump 3 writes first, and overwrites last


class Format(NamedTuple):
    """``magic`` is what the content begins with, ``read`` what makes a dump of it."""

    magic: bytes
    read: Callable[[Content], Dump]


FORMATS = (
    Format(ELFMAG, ElfDump),
    Format(DF_S390_MAGIC, S390Dump),
    Format(DF_S390_MAGIC_EXT, S390ExtDump),
)

_NO_DUMP = (
    (BUSY_MARKER, "a dump that was begun and never finished (zfcpdump's busy marker)"),
    (bytes(len(BUSY_MARKER)), "a dump whose first page, which is written last, never was"),
    (b"\x1f\x8b", "compressed with gzip: decompress it first"),
    (b"\xfd7zXZ\0", "compressed with xz: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: decompress it first"),
)
_MAGIC_SIZE = 16


def open_dump(path: Path) -> Dump:
    """The dump in a file; raises EvidenceError, saying what is there instead, if it has none."""
    with ExitStack() as stack:
        file = stack.enter_context(File.open(path))
        dump = read_dump(file)
        stack.pop_all()
    return dump


def read_dump(content: Content) -> Dump:
    """The dump that ``content`` is; raises EvidenceError if it is none, or a damaged one."""
    start = content.upto(0, _MAGIC_SIZE)
    if not start:
        raise EvidenceError(f"{content.name}: is empty")
    for form in FORMATS:
        if start.startswith(form.magic):
            return form.read(content)
    for magic, what in _NO_DUMP:
        if start.startswith(magic):
            raise EvidenceError(f"{content.name}: is {what}")
    raise EvidenceError(f"{content.name}: no dump: offset 0 holds {start[:8].hex(' ')}")
