"""Pack the large files of a run into the page store.

A process that is killed loses nothing: first the pages are on the disk, then packed.json, and only
then the files are removed. Another call goes on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import EvidenceError, LimitError
from harness.evidence.directory import RunDirectory
from harness.evidence.pack.recipe import Packed, PackedFile, Recipe
from harness.evidence.pack.store import PAGE, ZERO, PageStore, Writer
from harness.evidence.slim import large_files
from harness.files import sparse
from harness.files.atomic import replace_durably
from harness.files.json_file import MAX_BYTES
from harness.files.json_text import to_text
from harness.files.plain_file import is_there, open_plain, require_own_directory
from harness.progress import Progress

_SMALL = 64 << 10  # bytes: a file that uses less stays as it is
_BLOCK = 512  # bytes, the unit of st_blocks (stat(2))


def packable(directory: Path) -> list[Path]:
    """The files of a run that are worth to be packed."""
    paths = RunDirectory(directory)
    system = paths.dump_system
    more = [system] if system.is_file() and not system.is_symlink() else []
    return [
        path
        for path in (*large_files(directory), *more)
        if path.stat().st_blocks * _BLOCK >= _SMALL
    ]


def pack(directory: Path, store: PageStore, progress: Progress) -> int:
    """Put the large files of the run in ``directory`` into ``store``; returns the bytes removed.

    Nothing happens while somebody uses the run. Raises OSError, EvidenceError; LimitError if the
    files are too large. The files are then still there.
    """
    paths = RunDirectory(directory)
    for part in (paths.crash, paths.dump, paths.reipl):
        require_own_directory(part)
    with _alone(directory) as alone:
        noted = Packed.read(paths.packed).files if is_there(paths.packed) else {}
        found = packable(directory) if alone else []
        # killed before the files were removed, or while they were used
        new = [path for path in found if not _is_noted(path, noted.get(_name(path, directory)))]
        _require_packs(store, [noted[_name(path, directory)] for path in found if path not in new])
        if new:
            total = sum(path.stat().st_blocks * _BLOCK for path in new) / 1e6
            with (
                progress.task(f"pack {directory.name}", total, "MB") as task,
                store.writing() as writer,
            ):
                packed = _packed(new, writer, lambda done: task.update(done / 1e6))
                noted |= {_name(path, directory): file for path, file in packed.items()}
                content = to_text(Packed(files=noted).model_dump()).encode() + b"\n"
                if len(content) > MAX_BYTES:
                    raise LimitError(f"{directory}: its memory is too large to be packed")
                replace_durably(paths.packed, content)
        freed = 0
        for path in found:
            status = path.stat()
            freed += status.st_blocks * _BLOCK if status.st_nlink == 1 else 0
            path.unlink()
        return freed


def sweep(store: PageStore, *, dry_run: bool = False, without: Collection[Path] = ()) -> int:
    """Remove the packs that no run beside the store needs; returns the bytes that they had.

    ``without``: directories that count as if they were not there.

    Raises OSError; EvidenceError for a damaged packed.json: nobody knows then what it needs.
    """
    if not store.exists:
        return 0
    with store.locked():
        needed: set[str] = set()
        for path in runs_beside(store):
            if not any(path.is_relative_to(each) for each in without):
                needed |= Packed.read(path).packs
        freed = sum(size for name, size in store.sizes().items() if name not in needed)
        if not dry_run:
            store.sweep(needed)
        return freed


def runs_beside(store: PageStore) -> Iterator[Path]:
    """The packed.json of each run that may need the store."""
    return store.root.parent.rglob(RunDirectory(Path()).packed.name)


@contextmanager
def _alone(directory: Path) -> Iterator[bool]:
    """Whether nobody uses the run; nobody begins to during the ``with`` block. See ``use.py``."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _name(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix()


def _is_noted(path: Path, file: PackedFile | None) -> bool:
    return (
        file is not None and file.size == path.stat().st_size and file.digest == sparse.digest(path)
    )


def _require_packs(store: PageStore, files: list[PackedFile]) -> None:
    """Raises EvidenceError unless all pages of these files are there: they are to be removed."""
    for name in sorted({name for file in files for name in file.packs}):
        store.read(name)


def _packed(
    files: list[Path], writer: Writer, update: Callable[[int], None]
) -> dict[Path, PackedFile]:
    read: dict[Path, tuple[Recipe, int, str]] = {}
    done = 0
    for path in files:
        recipe = Recipe()
        with open_plain(path) as file:
            before = os.fstat(file.fileno())
            digest = sparse.Digest(before.st_size)
            for number, chunk in sparse.chunks(file.fileno()):
                digest.add(number, chunk)
                _place(number, chunk, recipe, writer)
                done += len(chunk)
                update(done)
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise EvidenceError(f"{path}: changed while it was packed")
        read[path] = recipe, before.st_size, digest.hexdigest()
    writer.flush()
    return {path: recipe.finish(size, digest) for path, (recipe, size, digest) in read.items()}


def _place(number: int, chunk: bytes, recipe: Recipe, writer: Writer) -> None:
    first = number * sparse.CHUNK // PAGE
    at, pages = [], []
    for offset in range(0, len(chunk), PAGE):
        page = chunk[offset : offset + PAGE]
        if page != ZERO[: len(page)]:
            at.append(first + offset // PAGE)
            pages.append(page.ljust(PAGE, b"\0"))  # the last one of a file may have less
    for page_number, (pack_, slot) in zip(at, writer.place(pages), strict=True):
        recipe.add(page_number, pack_, slot)
