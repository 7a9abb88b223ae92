"""Initramfs images, from lists in ``images/``."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.build import cpio, gen_init
from harness.build.layout import DiskLayout
from harness.build.packages import ROOT, user_space
from harness.build.store import Built, Store
from harness.paths import data_dir
from harness.progress import Progress

IMAGE = "initramfs.gz"

CRASHED = ("crash/crashed.list",)
BUILDER = ("builder/builder.list",)
DUMP = ("dump/zfcpdump.list",)
DUMP_TO_FILE = ("dump/zfcpdump.list", "dump/e2fsck.list")


def dump_lists(layout: DiskLayout) -> tuple[str, ...]:
    """The lists of the dump system for ``layout``."""
    return DUMP_TO_FILE if layout.is_file_system else DUMP


def initramfs(
    store: Store,
    progress: Progress,
    kind: str,
    lists: Sequence[str],
    variables: Mapping[str, str] | None = None,
) -> Built:
    """A gzip-compressed initramfs from ``lists`` (below ``images/``), in that order.

    ``variables`` adds to ${ROOT} and ${IMAGES}. The same lists and files give the same bytes.
    Raises UsageError naming list, line and field.
    """
    packages = user_space(store, progress)
    images = data_dir() / "images"
    where = {"ROOT": str(packages.path / ROOT), "IMAGES": str(images), **(variables or {})}
    entries = [entry for name in lists for entry in gen_init.parse(images / name, where)]
    archive = cpio.archive(entries)

    def build(directory: Path, log: Path) -> dict[str, Any]:
        (directory / IMAGE).write_bytes(gzip.compress(archive, mtime=0))
        log.write_text("".join(f"{entry.mode:06o} {entry.name}\n" for entry in entries))
        return {
            "lists": list(lists),
            "packages": packages.manifest["packages"],
            "unpacked size": len(archive),
        }

    # the archive is quickly made, and its digest stands for lists, files and packages
    return store.get(kind, {"cpio": hashlib.sha256(archive).hexdigest()}, build)
