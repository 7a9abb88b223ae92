"""A ramdisk that the user gives: a list, a directory, or a cpio archive, compressed or not."""

from __future__ import annotations

import lzma
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import zstandard

from harness.errors import EvidenceError, UsageError
from harness.host.fault import unusable
from harness.host.paths import data_dir
from harness.images.initramfs import cpio, gen_init
from harness.images.initramfs.build import compress

_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_CPIO = b"0707"
LARGEST = 1 << 30  # bytes, unpacked: the dump system has an HSA of up to 2 GiB in all
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO)


def ramdisk(path: Path) -> bytes:
    """What is at ``path``, as an archive for a kernel that knows gzip.

    One that is compressed with gzip stays as it is. One that is compressed with xz or zstd, which
    not every dump kernel knows, is compressed with gzip. All files of a directory belong to root.
    Raises UsageError, or HostError if the file cannot be read.
    """
    if path.is_dir():
        return compress(cpio.archive(_entries_in(path)))
    data = _read(path)
    if data.startswith(_GZIP):
        return data
    if data.startswith((_XZ, _ZSTD)):
        data = _unpacked(path, data)
    elif not data.startswith(_CPIO):
        return compress(
            cpio.archive(gen_init.parse([path], {"IMAGES": str(data_dir() / "images")}))
        )
    _require_newc(path, data)
    return compress(data)


def with_file(archive: bytes, name: str, content: str) -> bytes:
    """``archive`` and one more file, ``name`` with an absolute path, in an archive behind it."""
    parents = [str(parent).lstrip("/") for parent in reversed(Path(name).parents)]
    entries = [cpio.Entry(parent, stat.S_IFDIR | 0o755) for parent in parents if parent]
    file = cpio.Entry(name.lstrip("/"), stat.S_IFREG | 0o644, content.encode())
    padded = archive + bytes(-len(archive) % cpio.ALIGNMENT)
    return padded + cpio.archive([*entries, file])


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST} bytes: no ramdisk of a dump system")
        return path.read_bytes()
    except OSError as error:
        raise unusable(str(path), error) from error


def _unpacked(path: Path, data: bytes) -> bytes:
    try:
        if data.startswith(_XZ):
            unpacked = lzma.LZMADecompressor(memlimit=LARGEST).decompress(data, LARGEST + 1)
        else:
            with zstandard.ZstdDecompressor().stream_reader(data) as reader:
                unpacked = reader.read(LARGEST + 1)
    except (lzma.LZMAError, zstandard.ZstdError) as error:
        raise UsageError(f"{path} cannot be unpacked: {error}") from error
    if len(unpacked) > LARGEST:
        raise UsageError(f"{path} has more than {LARGEST} bytes when it is unpacked")
    return unpacked


def _require_newc(path: Path, data: bytes) -> None:
    try:
        for _ in cpio.entries(data):
            pass
    except EvidenceError as error:
        raise UsageError(f"{path} is no archive that a kernel unpacks: {error.message}") from error


def _entries_in(directory: Path) -> Iterator[cpio.Entry]:
    try:
        for place, names, files in os.walk(directory):
            names.sort()
            links = [name for name in names if Path(place, name).is_symlink()]
            for name in sorted([*names, *files]):
                yield _entry(Path(place, name), directory)
            names[:] = [name for name in names if name not in links]
    except OSError as error:
        raise unusable(str(error.filename or directory), error) from error


def _entry(path: Path, root: Path) -> cpio.Entry:
    status = path.lstat()
    kind, data, device = stat.S_IFMT(status.st_mode), b"", (0, 0)
    if kind not in _KINDS:
        raise UsageError(f"{path} is of a kind that a ramdisk does not have")
    if kind == stat.S_IFREG:
        data = path.read_bytes()
    elif kind == stat.S_IFLNK:
        data = os.fsencode(path.readlink())
    elif kind in (stat.S_IFBLK, stat.S_IFCHR):
        device = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return cpio.Entry(str(path.relative_to(root)), status.st_mode, data, device=device)
