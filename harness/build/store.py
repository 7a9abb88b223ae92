"""The image store: directories named by what went into them, complete or absent.

::

    ROOT/KIND-KEY/          one image: its files, manifest.json, build.log; read-only
    ROOT/.building/*/       images under construction, removed when their builder has gone
    ROOT/.locks/KIND-KEY    held while an image is built, so that a second builder waits
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import EvidenceError, HostError
from harness.progress import Progress

MANIFEST = "manifest.json"
LOG = "build.log"
READ_ONLY = 0o444
_KEY_DIGITS = 16
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Built:
    """One image in the store. ``key`` identifies its inputs, ``manifest`` tells all about it."""

    kind: str
    key: str
    path: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.key}"

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk, holes not counted."""
        return sum(file.stat().st_blocks * 512 for file in self.path.rglob("*") if file.is_file())


class Store:
    """A content-addressed store below ``root``, safe for any number of processes."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self.root = root
        self._progress = progress

    def get(
        self,
        kind: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path, Path], Mapping[str, Any]],
    ) -> Built:
        """The image that ``inputs`` (JSON) determine, built if it is not there.

        ``build`` gets an empty directory and the path of the log, and returns what else the
        manifest shall say. Raises what ``build`` raises; HostError if there is no space.
        """
        name = f"{kind}-{_key(kind, inputs)}"
        if (found := self._open(name)) is not None:
            return found
        with self._lock(name):
            if (found := self._open(name)) is None:  # another process may have been quicker
                self._build(name, inputs, build)
                found = self._open(name)
        if found is None:
            raise HostError(f"{self.root / name} vanished right after it was built")
        return found

    def images(self) -> list[Built]:
        """Every complete image, by name."""
        names = sorted(path.name for path in self.root.glob("*-*") if path.is_dir())
        return [image for name in names if (image := self._open(name)) is not None]

    def find(self, name: str) -> list[Built]:
        """The images whose names begin with ``name``."""
        return [image for image in self.images() if image.name.startswith(name)]

    def remove(self, image: Built) -> None:
        """Take one image out; whoever has its files open keeps them."""
        with self._lock(image.name):
            grave = Path(tempfile.mkdtemp(dir=self._directory(".building")))
            image.path.rename(grave / image.name)
            shutil.rmtree(grave)

    def sweep(self) -> None:
        """Remove what killed builders left behind."""
        for directory in self._directory(".building").iterdir():
            if (owner := directory.name.split("-", 1)[0]).isdigit() and not _alive(int(owner)):
                shutil.rmtree(directory, ignore_errors=True)

    def _open(self, name: str) -> Built | None:
        """The image if it is there and whole; a damaged one is removed, to be built again."""
        path = self.root / name
        if not path.is_dir():
            return None
        kind, _, key = name.rpartition("-")
        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
            sizes = {file: entry["size"] for file, entry in manifest["files"].items()}
            damaged = [file for file, size in sizes.items() if (path / file).stat().st_size != size]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            damaged = [str(error)]
        if damaged:
            with self._progress.task(f"image {name} is damaged ({damaged[0]}): build it again"):
                shutil.rmtree(path)
            return None
        return Built(kind, key, path, manifest)

    def _build(
        self,
        name: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path, Path], Mapping[str, Any]],
    ) -> None:
        self.sweep()
        building = Path(
            tempfile.mkdtemp(prefix=f"{os.getpid()}-{name}-", dir=self._directory(".building"))
        )
        try:
            log = building / LOG
            log.touch()
            facts = build(building, log)
            manifest = {
                "name": name,
                "inputs": inputs,
                **facts,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": _inventory(building),
            }
            (building / MANIFEST).write_text(json.dumps(manifest, indent=1, default=str) + "\n")
            building.chmod(0o755)
            building.rename(self.root / name)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise HostError(
                f"no space left in {self.root} to build {name}",
                hint="free some space, or name another store with --store or ZHARNESS_STORE",
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with (self._directory(".locks") / name).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self._progress.task(f"wait for another process that builds {name}"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _directory(self, name: str) -> Path:
        path = self.root / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(
                f"cannot use the image store {self.root}: {error.strerror}",
                hint="name another one with --store or ZHARNESS_STORE",
            ) from error
        return path


def verify(image: Built) -> None:
    """Raises EvidenceError naming the first file whose content is not what was built."""
    for name, entry in image.manifest["files"].items():
        if sha256(image.path / name) != entry["sha256"]:
            raise EvidenceError(
                f"{image.path / name} is not what was built",
                hint=f"zharness images clean {image.name} removes it",
            )


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(kind: str, inputs: Mapping[str, Any]) -> str:
    canonical = json.dumps([kind, inputs], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_DIGITS]


def _inventory(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of each file at the top; deeper trees (sources) are not images."""
    inventory = {}
    for file in sorted(directory.iterdir()):
        if file.is_file() and file.name != LOG:
            inventory[file.name] = {"size": file.stat().st_size, "sha256": sha256(file)}
            file.chmod(READ_ONLY)
    return inventory


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
