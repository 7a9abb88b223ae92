"""Small images for tests of the store, and a progress that records what it was told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.images.store import Built
from harness.progress import NoProgress, Task


class Said:
    """A progress that records its calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.spoken = threading.Event()

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.lines.append(what)
        self.spoken.set()
        with NoProgress().task(what, total, unit) as task:
            yield task


def a_file(directory: Path, log: Path) -> dict[str, Any]:
    (directory / "image").write_bytes(b"content")
    log.write_text("built\n")
    return {"compiler": "cc 1"}


def unexpected(directory: Path, log: Path) -> dict[str, Any]:
    raise AssertionError("the image is there: nothing to build")


def rot(image: Built, name: str, content: bytes) -> None:
    path = image.path / name
    path.chmod(0o644)
    path.write_bytes(content)
