"""Runs with large files, and what is done to their packs."""

from __future__ import annotations

import random
from pathlib import Path

from harness.evidence.pack.store import PageStore
from harness.progress import NoProgress

QUIET = NoProgress()


def noise(number: int, size: int = 64 << 10) -> bytes:
    """Content that no other number has, and that does not compress."""
    return random.Random(number).randbytes(size)


def run_with(place: Path, **files: bytes) -> Path:
    """A run whose files are named as ``crash__ram.img``."""
    place.mkdir(parents=True)
    (place / "run.json").write_text("{}")
    for name, content in files.items():
        path = place / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return place


def content_of(run: Path) -> dict[str, bytes]:
    ours = ("packed.json", "packed.json.new")
    paths = (path for path in run.rglob("*") if path.is_file() and path.name not in ours)
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def damage(path: Path, at: int = 100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def packs(store: PageStore) -> list[Path]:
    return sorted((store.root / "packs").iterdir())
