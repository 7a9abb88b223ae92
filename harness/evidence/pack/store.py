"""The page store: each page of a series' evidence once, in compressed packs.

::

    ROOT/packs/HASH.zst     up to 1024 pages of 4096 bytes, one zstd frame. HASH is that of the
                            content: BLAKE2b with 20 bytes, hexadecimal. A pack never changes
    ROOT/index.sqlite       where a page is, by its hash. It is used only to find equal pages: what
                            a run needs is in its packed.json. If it is lost, it is begun anew
    ROOT/lock               held (flock(2)) while packs are added or removed
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from harness.errors import EvidenceError
from harness.evidence.names import PAGES
from harness.files.atomic import replace_durably, sync_directory
from harness.files.plain_file import is_there, read_plain

PAGE = 4096  # bytes. With 16 KiB, similar memory images need a quarter more
PAGES_OF_PACK = 1024
ZERO = bytes(PAGE)
_PACKS, _INDEX, _LOCK, _SUFFIX = "packs", "index.sqlite", "lock", ".zst"
_LEVEL = 3
_HASH_BYTES = 20
_MOST_PACKED = 2 * PAGES_OF_PACK * PAGE  # bytes; what zstd cannot compress grows by much less
_ANCESTORS = 4  # a run is in SERIES/NIGHT/RUNS/RUN
_ASKED = 256  # variables of one SELECT
_WHERE = (
    "SELECT page.hash, pack.name, page.slot FROM page JOIN pack ON number = page.pack"
    " WHERE hash IN "
)
_TABLES = """
    CREATE TABLE IF NOT EXISTS pack (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
    CREATE TABLE IF NOT EXISTS page (
        hash BLOB PRIMARY KEY, pack INTEGER NOT NULL, slot INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS page_of_pack ON page (pack);
"""


def hash_of(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=_HASH_BYTES).digest()


def decompressed(data: bytes, limit: int) -> bytes:
    """The content of one zstd frame that tells its size, at most ``limit`` bytes; ValueError."""
    try:
        size = zstandard.frame_content_size(data)  # it would be allocated before it is compared
        if not 0 <= size <= limit:
            raise ValueError(f"its size is not told, or more than {limit} bytes")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


@dataclass(eq=False)
class Pack:
    """A pack; ``name`` is empty until it is written."""

    name: str = ""


@dataclass(frozen=True)
class PageStore:
    """A page store, which exists if something was ever packed into it."""

    root: Path

    @classmethod
    def of_series(cls, directory: Path) -> PageStore:
        """The store for all runs below ``directory``."""
        return cls(directory / PAGES)

    @classmethod
    def of_run(cls, directory: Path) -> PageStore | None:
        """The store beside or above the run in ``directory``; None if there is none."""
        for above in directory.resolve().parents[:_ANCESTORS]:
            store = cls.of_series(above)
            if store._packs.is_dir():  # a run could have the same name
                return store
        return None

    @property
    def exists(self) -> bool:
        return self._packs.is_dir()

    @property
    def _packs(self) -> Path:
        return self.root / _PACKS

    def path(self, name: str) -> Path:
        """The file of a pack."""
        return self._packs / f"{name}{_SUFFIX}"

    def read(self, name: str) -> memoryview:
        """The pages of a pack; raises EvidenceError, naming it, if it is missing or damaged."""
        path = self.path(name)
        if not is_there(path):
            raise EvidenceError(f"{path}: is missing")
        try:
            content = decompressed(read_plain(path, _MOST_PACKED), PAGES_OF_PACK * PAGE)
        except ValueError as error:
            raise EvidenceError(f"{path}: is damaged: {error}") from error
        if hash_of(content).hex() != name:
            raise EvidenceError(f"{path}: is damaged: its content is not that of its name")
        return memoryview(content)

    def sizes(self) -> dict[str, int]:
        """The bytes of each pack on the disk, by its name."""
        if not self.exists:
            return {}
        return {
            path.name.removesuffix(_SUFFIX): path.stat().st_size
            for path in self._packs.iterdir()
            if path.suffix == _SUFFIX
        }

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Add pages during a ``with`` block; waits while another process does. Raises OSError."""
        self._packs.mkdir(parents=True, exist_ok=True)
        with self.locked(), closing(self._index()) as index:
            try:
                yield Writer(self, index)
            except sqlite3.Error as error:
                raise OSError(f"{self.root / _INDEX}: {error}") from error

    def sweep(self, needed: set[str]) -> None:
        """Remove the packs whose names are not in ``needed``; see :meth:`locked`."""
        try:
            with closing(self._index()) as index, index:
                known = {name: number for number, name in index.execute("SELECT * FROM pack")}
                gone = [(known[name],) for name in known.keys() - needed]
                index.executemany("DELETE FROM page WHERE pack = ?", gone)
                index.executemany("DELETE FROM pack WHERE number = ?", gone)
        except (OSError, sqlite3.Error):  # such as a full disk, which this shall help
            self._drop_index()
        for path in self._packs.iterdir():
            if path.name.removesuffix(_SUFFIX) not in needed:
                path.unlink()
        sync_directory(self._packs)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds or removes packs of a store that exists during a ``with`` block."""
        with (self.root / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _index(self) -> sqlite3.Connection:
        """The index; one that is damaged is begun anew, which only costs space."""
        path = self.root / _INDEX
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from error
        except sqlite3.DatabaseError:
            self._drop_index()
            return _opened(path)

    def _drop_index(self) -> None:
        for name in (_INDEX, f"{_INDEX}-journal"):
            (self.root / name).unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path)
    try:
        index.executescript(_TABLES)
        if index.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
    except sqlite3.Error:
        index.close()
        raise
    return index


@dataclass
class Writer:
    """Finds equal pages, and writes those that are new; only within :meth:`PageStore.writing`."""

    store: PageStore
    index: sqlite3.Connection
    _pending: Pack = field(default_factory=Pack)
    _pages: list[bytes] = field(default_factory=list)
    _slots: dict[bytes, int] = field(default_factory=dict)
    _known: dict[str, tuple[Pack, bytes]] = field(default_factory=dict)

    def place(self, pages: Sequence[bytes]) -> list[tuple[Pack, int]]:
        """Where each of ``pages`` is or will be: pack, and number within it."""
        hashes = [hash_of(page) for page in pages]
        found = self._stored(hashes)
        return [
            found.get(hashed) or self._add(hashed, page)
            for hashed, page in zip(hashes, pages, strict=True)
        ]

    def flush(self) -> None:
        """Write the pack that is not full; all that was placed is then on the disk."""
        if not self._pages:
            return
        content = b"".join(self._pages)
        name = hash_of(content).hex()
        packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)
        replace_durably(self.store.path(name), packed)
        with self.index:
            self.index.execute("INSERT OR IGNORE INTO pack (name) VALUES (?)", (name,))
            query = "SELECT number FROM pack WHERE name = ?"
            (number,) = self.index.execute(query, (name,)).fetchone()
            self.index.executemany(
                "INSERT OR REPLACE INTO page VALUES (?, ?, ?)",
                ((hashed, number, slot) for hashed, slot in self._slots.items()),
            )
        self._pending.name = name
        self._known[name] = self._pending, b"".join(self._slots)
        self._pending, self._pages, self._slots = Pack(), [], {}

    def _add(self, hashed: bytes, page: bytes) -> tuple[Pack, int]:
        slot = self._slots.get(hashed)
        if slot is not None:
            return self._pending, slot
        if len(self._pages) == PAGES_OF_PACK:
            self.flush()
        slot = self._slots[hashed] = len(self._pages)
        self._pages.append(page)
        return self._pending, slot

    def _stored(self, hashes: Sequence[bytes]) -> dict[bytes, tuple[Pack, int]]:
        """Where pages are already. The index is not trusted: the pack must have that page."""
        found = {}
        for first in range(0, len(hashes), _ASKED):
            asked = hashes[first : first + _ASKED]
            query = _WHERE + f"({','.join('?' * len(asked))})"
            for hashed, name, slot in self.index.execute(query, asked).fetchall():
                pack, its_hashes = self._read(name)
                if its_hashes[slot * _HASH_BYTES : (slot + 1) * _HASH_BYTES] == hashed:
                    found[hashed] = pack, slot
        return found

    def _read(self, name: str) -> tuple[Pack, bytes]:
        """A pack, and the hashes of its pages; none if it is missing or damaged."""
        if name not in self._known:
            try:
                content = self.store.read(name)
            except EvidenceError:
                content = memoryview(b"")
            pages = range(0, len(content), PAGE)
            hashes = b"".join(hash_of(content[at : at + PAGE]) for at in pages)
            self._known[name] = Pack(name), hashes
        return self._known[name]
