"""Bring the evidence of a run from the host where it was made."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from harness.cluster.order import Piece, Remote
from harness.errors import EvidenceError
from harness.evidence.pack.store import decompressed
from harness.files import sparse

MOST_FILES = 10_000
_DIRECTORY_MODE = 0o755
_SHARED_MODE = 0o444  # what another run may have, too, is not written to
_MOST_PIECE = 64 << 20  # bytes of data in one extent


class Fetch:
    """Brings files; content that several runs have comes once, and is linked."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, int], Path] = {}
        self._lock = threading.Lock()

    def bring(
        self,
        files: Sequence[Remote],
        output: Path,
        piece: Callable[[str, int], Piece],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Write all of ``files`` to the new directory ``output``, which is there only if complete.

        ``piece`` gives the next part of a file from an offset on. If it is not wanted any more,
        nothing is left. Raises EvidenceError if a file is not what its digest says, or would lie
        elsewhere; OSError.
        """
        if len(files) > MOST_FILES:
            raise EvidenceError(f"{output}: {len(files)} files are too many for one run")
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        try:
            partial.chmod(_DIRECTORY_MODE)
            for file in files:
                if not is_wanted():
                    shutil.rmtree(partial, ignore_errors=True)
                    return
                self._bring(file, partial / _inside(file.name, output), piece)
            partial.rename(output)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        with self._lock:
            for file in files:
                if file.digest is not None:
                    self._there.setdefault((file.digest, file.size), output / file.name)

    def _bring(self, file: Remote, target: Path, piece: Callable[[str, int], Piece]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.digest is not None and self._linked(file.digest, file.size, target):
            return
        with target.open("xb") as writer:
            writer.truncate(file.size)
            offset: int | None = 0
            while offset is not None:
                part = piece(file.name, offset)
                for start, data in part.extents:
                    plain = _plain(data, target)
                    if not 0 <= start <= start + len(plain) <= file.size:
                        raise EvidenceError(f"{target}: has data behind its end")
                    os.pwrite(writer.fileno(), plain, start)
                if part.after is not None and part.after <= offset:
                    raise EvidenceError(f"{target}: its parts are not in order")
                offset = part.after
        if file.digest is not None:
            if sparse.digest(target) != file.digest:
                raise EvidenceError(f"{target}: has changed on its way")
            target.chmod(_SHARED_MODE)

    def _linked(self, digest: str, size: int, target: Path) -> bool:
        with self._lock:
            there = self._there.get((digest, size))
        if there is None:
            return False
        try:
            os.link(there, target)
        except OSError:  # it has been removed meanwhile
            return False
        return True


def _inside(name: str, output: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise EvidenceError(f"{output}: the host names a file elsewhere: {name!r}")
    return path


def _plain(data: bytes, target: Path) -> bytes:
    try:
        return decompressed(data, _MOST_PIECE)
    except ValueError as error:
        raise EvidenceError(f"{target}: damaged on its way: {error}") from error
