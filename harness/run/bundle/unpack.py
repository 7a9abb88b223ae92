"""Unpack a bundle, which somebody else has made, into the store."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from harness.errors import BuildError, EvidenceError
from harness.files.json_file import as_model, parse_object
from harness.files.plain_file import open_plain
from harness.host.fault import cannot_grow, no_space
from harness.images.store import Built, Store, sha256
from harness.progress import Progress
from harness.run.bundle import manifest
from harness.run.bundle.manifest import Entry, Manifest

KIND = "bundle"
_MAX_WINDOW = 1 << 27  # bytes, as zstd takes without being asked for more
_CHUNK = 1 << 20


class _Member(tarfile.TarInfo):
    """Refuses headers that tarfile would read into memory, whatever their size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if not self.isreg() or self.issparse():
            raise EvidenceError("has a member that is no plain file")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def is_bundle(path: Path) -> bool:
    """Whether ``path`` is a file that begins as a bundle does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(manifest.MAGIC)) == manifest.MAGIC


def unpack(path: Path, store: Store, progress: Progress) -> Built:
    """The files of the bundle, as an image of the store; they are unpacked only once.

    Raises EvidenceError, naming ``path``, if it is no bundle, is cut off or damaged, or holds
    anything that its manifest does not tell; HostError if the store has no room.
    """
    with progress.task(f"read {path.name}"):
        digest = sha256(path)

    def build(directory: Path, log: Path) -> Mapping[str, Any]:
        try:
            with open_plain(path) as file:
                size = os.fstat(file.fileno()).st_size
                with progress.task(f"unpack {path.name}", size / 1e6, "MB") as task:
                    told = _unpacked(file, directory, lambda: task.update(file.tell() / 1e6))
        except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
            raise EvidenceError(f"{path}: not a bundle, or damaged: {error}") from error
        except EvidenceError as error:
            raise EvidenceError(f"{path}: {error.message}", hint=error.hint) from error
        except OSError as error:
            if cannot_grow(error):
                raise no_space(error, str(directory)) from error
            raise BuildError(f"{path}: {error}") from error
        return {"bundle": told.to_json()}

    return store.get(KIND, {"sha256": digest}, build)


def _unpacked(file: BinaryIO, directory: Path, update: Callable[[], None]) -> Manifest:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    with (
        unpacker.stream_reader(file, read_across_frames=False) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive,
    ):
        told = _manifest(archive)
        names: dict[str, list[str]] = {}
        for name, entry in told.files.items():
            names.setdefault(entry.sha256, []).append(name)
        while (member := archive.next()) is not None:
            folder, _, digest = member.name.partition("/")
            wanted = names.pop(digest, None) if folder == manifest.OBJECTS else None
            if wanted is None or len({told.files[name].size for name in wanted}) > 1:
                raise EvidenceError("has a member that its manifest does not tell")
            first, *others = wanted
            _extract(archive, member, told.files[first], directory / first)
            for other in others:
                (directory / other).parent.mkdir(parents=True, exist_ok=True)
                os.link(directory / first, directory / other)
            update()
        if names:
            raise EvidenceError(f"is cut off: {len(names)} of its files are missing")
        return told


def _manifest(archive: tarfile.TarFile) -> Manifest:
    member = archive.next()
    if member is None or member.name != manifest.MANIFEST:
        raise EvidenceError(f"its first member is not {manifest.MANIFEST}")
    if member.size > manifest.MANIFEST_BYTES:
        raise EvidenceError(f"{manifest.MANIFEST} has {member.size} bytes")
    content = archive.extractfile(member)
    assert content is not None
    name = Path(manifest.MANIFEST)
    return as_model(Manifest, parse_object(content.read(), name), name)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, target: Path) -> None:
    """Write the content, with holes where it is zero; it must be what the manifest says."""
    if member.size != entry.size:
        raise EvidenceError(f"{target.name} has {member.size} bytes, not {entry.size}")
    target.parent.mkdir(parents=True, exist_ok=True)
    content, digest, zeros = archive.extractfile(member), hashlib.sha256(), bytes(_CHUNK)
    assert content is not None
    with target.open("xb") as file:
        file.truncate(entry.size)
        at = 0
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            if chunk != zeros[: len(chunk)]:
                os.pwrite(file.fileno(), chunk, at)
            at += len(chunk)
    if digest.hexdigest() != entry.sha256:
        raise EvidenceError(f"the content of {target.name} is not what was packed")
