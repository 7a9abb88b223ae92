"""Detect the format of a dump, from its content, never from its name."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from harness.dump.byte_source import ByteSource, File
from harness.dump.disk import containers
from harness.dump.formats.kdump.flattened import flattened, is_flattened
from harness.dump.formats.lkcd.c_lkcd import DF_LKCD_MAGIC
from harness.dump.formats.table import format_at, format_named
from harness.dump.given_disk.image import open_image
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.s390x.lowcore import PAGE_SIZE

BUSY_MARKER = b"zfcpdump busy\0"  # zfcpdump 3 writes this first, and overwrites it last

_NO_DUMP = (
    (BUSY_MARKER, "a dump that was begun and never finished (zfcpdump's busy marker)"),
    (bytes(PAGE_SIZE), "a dump whose first page, which is written last, never was"),
    (b"\x1f\x8b", "compressed with gzip: decompress it first"),
    (b"\xfd7zXZ\0", "compressed with xz: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: decompress it first"),
    (DF_LKCD_MAGIC[::-1], "a little-endian dump of LKCD, not of s390x"),
    (b"sadump\0", "a dump of sadump, not of s390x"),
    (b"PAGEDU", "a crash dump of Windows, not of s390x"),
)


def open_dump(path: Path, member: str | None = None, sector_size: int | None = None) -> Dump:
    """The dump in a file; the file may be a dump, a disk image, a partition or a file system.

    ``member`` and ``sector_size`` are for disks and file systems: see ``containers.Wanted``.
    Raises EvidenceError, saying what is there instead, if there is none.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_image(path))
        if not _is_dump(file):
            dump = _in_container(file, containers.Wanted(member, sector_size))
        elif member is None:
            dump = _dump_itself(file)
        else:
            raise EvidenceError(f"{path}: is a dump, no disk or file system with a {member} in it")
        stack.pop_all()
    return dump


def read_dump(content: ByteSource) -> Dump:
    """The dump in ``content``; raises EvidenceError if it is not a dump, or is damaged."""
    if is_flattened(content):
        return _read_flattened(content)
    form = format_at(content)
    if form is not None:
        return form.read(content)
    start = content.upto(0, PAGE_SIZE)
    if not start:
        raise EvidenceError(f"{content.name}: is empty")
    for magic, what in _NO_DUMP:
        if start.startswith(magic):
            raise EvidenceError(f"{content.name}: is {what}")
    raise EvidenceError(f"{content.name}: no dump: offset 0 holds {start[:8].hex(' ')}")


def _is_dump(content: ByteSource) -> bool:
    return is_flattened(content) or format_at(content) is not None


def _read_flattened(content: ByteSource) -> Dump:
    """The dump that makedumpfile's records make, which are never of themselves."""
    inside = flattened(content)
    if is_flattened(inside):
        raise EvidenceError(f"{content.name}: is flattened twice")
    dump = read_dump(inside)
    dump.container = "makedumpfile's flattened format"
    return dump


def _in_container(file: File, wanted: containers.Wanted) -> Dump:
    found = containers.find(file, wanted)
    return read_dump(file) if found is None else _found_there(read_dump(found.content), found)


def _dump_itself(file: File) -> Dump:
    """The dump at the start of ``file``; bytes behind it may be the rest of its partition."""
    dump = read_dump(file)
    if format_named(dump.format).on_partition and dump.length < file.size:
        found = containers.surroundings(file, dump.length)
        if found is not None:
            return _found_there(read_dump(found.content), found)
    return dump


def _found_there(dump: Dump, found: containers.Found) -> Dump:
    dump.container = ", ".join(filter(None, (found.where, dump.container)))
    dump.container_facts = found.facts
    return dump
