"""Every dump format that can be read, one row each: its magic, its reader, its properties.

A new format needs a folder beside this file, a row, seeds for the fuzzer (``tests/fuzz/seeds.py``)
and its name in ``docs/dumps.md``. All code reads the properties of a format from its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from harness.dump.byte_source import ByteSource
from harness.dump.formats.elf.c_elf import ELFMAG
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.formats.elf.writer import write_elf
from harness.dump.formats.kdump.c_kdump import KDUMP_SIGNATURE
from harness.dump.formats.kdump.reader import KdumpDump
from harness.dump.formats.lkcd.c_lkcd import DF_LKCD_MAGIC
from harness.dump.formats.lkcd.reader import LkcdDump
from harness.dump.formats.s390.c_s390 import DF_S390_MAGIC, DF_S390_MAGIC_EXT
from harness.dump.formats.s390.extended import S390ExtDump
from harness.dump.formats.s390.reader import S390Dump
from harness.dump.formats.s390.writer import write_s390, write_s390_ext
from harness.dump.reader import Dump
from harness.progress import Task

Reader = Callable[[ByteSource], Dump]
Writer = Callable[[Dump, Path, Task], None]
MAGIC_SIZE = 16  # bytes; no format's magic is longer


class Knows(Enum):
    """Whether zgetdump knows a format."""

    NEVER = auto()
    READS_LATER = auto()  # releases after 2.16 read it, but do not write it
    KNOWS = auto()  # it reads and writes it


class Takes(Enum):
    """Whether the crash utility is known to read a format correctly, and from what."""

    NEVER = auto()
    FROM_FILE = auto()  # from a regular file only
    FROM_DISK = auto()  # from a block device, too


@dataclass(frozen=True)
class Format:
    """A dump format; ``name`` is zgetdump's name, if it has one, and the ``format`` of its dumps.

    A dump begins with ``magic``. ``write`` is None if the format cannot be written.
    """

    name: str
    magic: bytes
    read: Reader
    write: Writer | None = None
    on_partition: bool = False  # a dump tool writes it to a partition without a file system
    has_virtual: bool = False  # it tells virtual addresses, so it has the kernel's image twice
    has_gaps: bool = True  # not all memory up to the last address is in it
    filtered: bool = False  # some pages are left out on purpose; its segments are runs of pages
    registers_in_memory: bool = False  # in each CPU's lowcore, perhaps without vector registers
    drgn: bool = False  # drgn opens it by itself
    libkdumpfile: bool = False  # libkdumpfile is known to read it correctly
    crash: Takes = Takes.NEVER
    zgetdump: Knows = Knows.NEVER


FORMATS = (
    Format(
        "elf",
        ELFMAG,
        ElfDump,
        write_elf,
        on_partition=True,
        has_virtual=True,
        drgn=True,
        libkdumpfile=True,
        crash=Takes.FROM_DISK,
        zgetdump=Knows.KNOWS,
    ),
    Format(
        "s390",
        DF_S390_MAGIC,
        S390Dump,
        write_s390,
        on_partition=True,
        has_gaps=False,
        registers_in_memory=True,
        libkdumpfile=True,
        crash=Takes.FROM_DISK,
        zgetdump=Knows.KNOWS,
    ),
    Format(
        "s390_ext",
        DF_S390_MAGIC_EXT,
        S390ExtDump,
        write_s390_ext,
        on_partition=True,
        has_gaps=False,
        registers_in_memory=True,
        zgetdump=Knows.READS_LATER,
    ),
    Format("lkcd", DF_LKCD_MAGIC, LkcdDump, registers_in_memory=True),
    Format(
        "kdump",
        KDUMP_SIGNATURE,
        KdumpDump,
        filtered=True,
        libkdumpfile=True,
        crash=Takes.FROM_FILE,
    ),
)


def format_at(content: ByteSource) -> Format | None:
    """The format whose magic ``content`` begins with; None if it is unknown."""
    start = content.upto(0, MAGIC_SIZE)
    return next((row for row in FORMATS if start.startswith(row.magic)), None)


def format_named(name: str) -> Format:
    """The row of ``Dump.format``; raises KeyError for an unknown name."""
    return {row.name: row for row in FORMATS}[name]


def writers() -> dict[str, Writer]:
    """The writers of all formats that can be written, by the format's name."""
    return {row.name: row.write for row in FORMATS if row.write is not None}
