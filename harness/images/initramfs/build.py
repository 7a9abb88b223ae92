"""Initramfs images, from lists in ``images/``."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.host.paths import data_dir
from harness.images.debian.packages import ROOT, USER_SPACE, unpacked
from harness.images.initramfs import cpio, gen_init
from harness.images.initramfs.bytecode import images_python, precompiled
from harness.images.store import Built, Store
from harness.progress import Progress

IMAGE = "initramfs.gz"

CRASHED = ("crash/crashed.list",)
CRASH_MODULE = ("crash/module.list",)
CONTENT = ("crash/content.list",)
BUILDER = ("builder/builder.list",)
FILES = ("builder/builder.list", "files/files.list")
JUDGE = ("builder/builder.list", "judge/judge.list", "judge/libraries.list")
NEWER_JUDGE = ("builder/builder.list", "judge/judge.list", "judge/newer.list")
CRASH_JUDGE = ("builder/builder.list", "judge/crash.list")
PAYLOAD = ("builder/payload.list",)
PAYLOAD_RAMDISK = ("builder/payload-ramdisk.list",)


def initramfs(
    store: Store,
    progress: Progress,
    kind: str,
    lists: Sequence[str],
    variables: Mapping[str, str] = MappingProxyType({}),
    more: Iterable[cpio.Entry] = (),
) -> Built:
    """A gzip-compressed initramfs from ``lists`` (below ``images/``), in that order.

    A list may have an absolute path; if it names an entry again, it replaces that entry.
    ``variables`` as in ``cpio_of``, beside ${ROOT}. The entries ``more`` come last.
    The same lists and files give the same bytes. Raises UsageError naming list, line and field.
    """
    packages = unpacked(store, progress, USER_SPACE)
    entries = _entries(lists, {"ROOT": str(packages.path / ROOT), **variables})
    archive = cpio.archive(
        precompiled(chain(entries, more), lambda: images_python(store, progress))
    )

    def build(directory: Path, log: Path) -> dict[str, Any]:
        (directory / IMAGE).write_bytes(compress(archive))
        entries = cpio.entries(archive)
        log.write_text("".join(f"{e.mode:06o} {len(e.data):8} {e.name}\n" for e in entries))
        return {
            "lists": list(lists),
            "packages": packages.manifest["packages"],
            "unpacked size": len(archive),
        }

    # the archive is made quickly, and its digest covers lists, files and packages
    return store.get(kind, {"cpio": hashlib.sha256(archive).hexdigest()}, build)


def cpio_of(lists: Sequence[str], variables: Mapping[str, str]) -> bytes:
    """The archive of ``lists``, whose locations may contain ${IMAGES} and ``variables``."""
    return cpio.archive(_entries(lists, variables))


def _entries(lists: Sequence[str], variables: Mapping[str, str]) -> Iterator[cpio.Entry]:
    images = data_dir() / "images"
    paths = [images / name for name in lists]
    return gen_init.parse(paths, {"IMAGES": str(images), **variables})


def compress(archive: bytes) -> bytes:
    """The archive, compressed for the kernel; an uncompressed one may follow it.

    That one has to begin at a multiple of 4; zeros in between are skipped (init/initramfs.c,
    unpack_to_rootfs).
    """
    packed = gzip.compress(archive, compresslevel=9, mtime=0)
    return packed + bytes(-len(packed) % cpio.ALIGNMENT)
