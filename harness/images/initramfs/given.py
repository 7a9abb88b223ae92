"""A ramdisk that the user gives: a list, a directory, or a cpio archive, compressed or not."""

from __future__ import annotations

import lzma
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from harness.errors import EvidenceError, UsageError
from harness.host.fault import unusable
from harness.host.paths import data_dir, require_file
from harness.images.initramfs import cpio, gen_init
from harness.images.initramfs.build import compress

_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_CPIO = b"0707"
_TRAILER = cpio.TRAILER.encode() + b"\0"
LARGEST = 1 << 30  # bytes, unpacked: the dump system has an HSA of up to 2 GiB in all
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO)


def ramdisk(path: Path, *, room: int = LARGEST, with_init: bool = True) -> bytes:
    """What is at ``path``, as an archive for a kernel that knows gzip.

    One that is compressed with gzip stays as it is. One that is compressed with xz or zstd, which
    not every dump kernel knows, is compressed with gzip. All files of a directory belong to root.
    Raises UsageError, or HostError if the file cannot be read.

    The files must fit into ``room`` bytes, and ``/init`` must be among them if it is to be there
    ``with_init``. Of an archive compressed with gzip only its own size is looked at.
    """
    room = min(room, LARGEST)
    if path.is_dir():
        entries = list(_entries_in(path, room))
        _require_init(path, entries, with_init=with_init)
        return compress(cpio.archive(entries))
    data = _read(path, room)
    if data.startswith(_GZIP):
        return data
    if data.startswith((_XZ, _ZSTD)):
        data = _unpacked(path, data, room)
    elif not data.startswith(_CPIO):
        entries = list(gen_init.parse([path], {"IMAGES": str(data_dir() / "images")}))
        _require_room(path, sum(len(entry.data) for entry in entries), room)
        _require_init(path, entries, with_init=with_init)
        return compress(cpio.archive(entries))
    # another archive may follow the first one
    with_init = with_init and data.count(_TRAILER) == 1
    _require_init(path, _newc(path, data), with_init=with_init)
    return compress(data)


def with_file(archive: bytes, name: str, content: str) -> bytes:
    """``archive`` and one more file, ``name`` with an absolute path, in an archive behind it."""
    parents = [str(parent).lstrip("/") for parent in reversed(Path(name).parents)]
    entries = [cpio.Entry(parent, stat.S_IFDIR | 0o755) for parent in parents if parent]
    file = cpio.Entry(name.lstrip("/"), stat.S_IFREG | 0o644, content.encode())
    padded = archive + bytes(-len(archive) % cpio.ALIGNMENT)
    return padded + cpio.archive([*entries, file])


def _require_room(path: Path, size: int, room: int) -> None:
    if size > room:
        raise UsageError(
            f"{path} has more than {room} bytes: no ramdisk of a dump system, which has no more "
            "memory than the HSA is large",
            hint="choose a smaller ramdisk, or a larger --hsa-size",
        )


def _require_init(path: Path, entries: Iterable[cpio.Entry], *, with_init: bool) -> None:
    names = {name.removeprefix("./") for entry in entries for name in (entry.name, *entry.links)}
    if with_init and not names & {"init", "/init"}:
        raise UsageError(
            f"{path} has no /init, the program that the kernel starts",
            hint="name another one with rdinit= in --dump-parmline",
        )


def _read(path: Path, room: int) -> bytes:
    require_file(path, "ramdisk")
    try:
        _require_room(path, path.stat().st_size, room)
        return path.read_bytes()
    except OSError as error:
        raise unusable(str(path), error) from error


def _unpacked(path: Path, data: bytes, room: int) -> bytes:
    try:
        if data.startswith(_XZ):
            unpacked = lzma.LZMADecompressor(memlimit=LARGEST).decompress(data, room + 1)
        else:
            with zstandard.ZstdDecompressor().stream_reader(data) as reader:
                unpacked = reader.read(room + 1)
    except (lzma.LZMAError, zstandard.ZstdError) as error:
        raise UsageError(f"{path} cannot be unpacked: {error}") from error
    _require_room(path, len(unpacked), room)
    return unpacked


def _newc(path: Path, data: bytes) -> list[cpio.Entry]:
    try:
        return list(cpio.entries(data))
    except EvidenceError as error:
        raise UsageError(f"{path} is no archive that a kernel unpacks: {error.message}") from error


def _entries_in(directory: Path, room: int) -> Iterator[cpio.Entry]:
    size = 0
    try:
        for place, names, files in os.walk(directory, onerror=_refuse):
            names.sort()
            links = [name for name in names if Path(place, name).is_symlink()]
            for name in sorted([*names, *files]):
                path = Path(place, name)
                size += path.lstat().st_size if name in files else 0
                _require_room(directory, size, room)
                yield _entry(path, directory)
            names[:] = [name for name in names if name not in links]
    except OSError as error:
        raise unusable(str(error.filename or directory), error) from error


def _refuse(error: OSError) -> None:
    raise error


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
