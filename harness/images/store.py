"""The image store: directories that are named by their inputs, and are complete or absent.

::

    ROOT/KIND-KEY/              one image: its files, manifest.json, build.log; read-only
    ROOT/.building/*/           images under construction; their builder holds a lock on them
    ROOT/.locks/KIND-KEY        held while an image is built, so that a second builder waits
    ROOT/.failed/KIND-KEY.log   the log of an image's last build, if it failed
    ROOT/.used/KIND-KEY         when it was used last; locked while a process uses it
    ROOT/.verified/KIND-KEY     what its files looked like when their content was last read

All locks are flock(2): the kernel releases them when their holder dies, for whatever reason.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, NonNegativeInt, model_validator

from harness.errors import BuildError, EvidenceError, HostError
from harness.files import sparse
from harness.files.atomic import replace_text, sync_directory
from harness.files.json_file import as_model, parse_object
from harness.host.fault import disk_is_full, says_disk_is_full
from harness.images.last_use import LastUse
from harness.images.locking import locked
from harness.progress import Progress

MANIFEST = "manifest.json"
LOG = "build.log"
# a directory of this name within an image (kernel source) is too large to be listed or checked
TREE = "tree"

_BUILDING, _LOCKS, _FAILED, _VERIFIED = ".building", ".locks", ".failed", ".verified"
_USED = ".used"
_SWEEP_LOCK = "sweep"
_KEY_DIGITS = 20
_NAME = re.compile(rf"[a-z0-9][a-z0-9-]*-[0-9a-f]{{{_KEY_DIGITS}}}")
_WRITE_BITS = 0o222
_RAW = ".img"  # how the name of a raw disk ends
_UNUSABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP),
)
# errors that keep the host from reading a file, whatever is in it
_UNREADABLE = (
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.ESTALE),
)
_OTHER_STORE = "name another store with --store or ZHARNESS_STORE"

Build = Callable[[Path, Path], Mapping[str, Any]]


def _within_the_image(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError("not a file of the image")
    return name


class _Entry(BaseModel):
    """A file of an image: its SHA-256, or, of a raw disk, that of its ``content`` without holes."""

    model_config = ConfigDict(strict=True)

    size: NonNegativeInt
    sha256: str | None = None
    content: str | None = None

    @model_validator(mode="after")
    def _one_digest(self) -> Self:
        if (self.sha256 is None) is (self.content is None):
            raise ValueError("neither sha256 nor content, or both")
        return self

    @classmethod
    def of(cls, file: Path) -> Self:
        """Raises OSError if the file cannot be read."""
        size = file.stat().st_size
        if file.suffix == _RAW:  # to hash 64 GiB of holes takes minutes
            return cls(size=size, content=sparse.digest(file))
        return cls(size=size, sha256=sha256(file))

    def fits(self, file: Path) -> bool:
        """Whether ``file`` has this digest. Raises OSError if it cannot be read."""
        if self.sha256 is None:
            return sparse.digest(file) == self.content
        return sha256(file) == self.sha256


class _Manifest(BaseModel):
    """The parts of a manifest that the code relies on; others may have written the file."""

    model_config = ConfigDict(strict=True)

    files: dict[Annotated[str, AfterValidator(_within_the_image)], _Entry]


@dataclass(frozen=True)
class Built:
    """One image in the store. ``key`` identifies its inputs, ``manifest`` describes it."""

    kind: str
    key: str
    path: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.key}"

    @property
    def size(self) -> int:
        """Bytes of disk space that it uses, without holes."""
        return sum(file.lstat().st_blocks * 512 for file in self.path.rglob("*"))


class _DamagedError(Exception):
    """An image is there, but it is not what was built; the text tells what differs."""


class Store:
    """A content-addressed store below ``root``, safe for any number of processes."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self.root = root.absolute()  # tools run in other directories
        self._progress = progress
        self.last_use = LastUse(self.root / _USED)

    def get(self, kind: str, inputs: Mapping[str, Any], build: Build) -> Built:
        """The image that ``inputs`` (JSON) determine; it is built if it is missing or damaged.

        Its content is read and compared with the manifest's digests if that was never done, or if
        the time, size or number of a file has changed since.
        ``build`` gets an empty directory and the path of the log, and returns what else the
        manifest shall say. Raises what ``build`` raises; HostError if the store has no space or
        cannot be written.
        """
        name = f"{kind}-{_key(kind, inputs)}"
        self.last_use.note(name)
        with self.using(name), suppress(_DamagedError):
            if (found := self._open(name)) is not None:
                self._require_content(found)
                return found
        with self.using(name), self.lock(name):
            found = self._open_or_bury(name)  # another process may have been quicker
            if found is None:
                self._build(name, inputs, build)
                found = self._open_or_bury(name)
        self.last_use.note(name)
        if found is None:
            raise HostError(f"{self.root / name} vanished or changed right after it was built")
        return found

    def has(self, kind: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the image that ``inputs`` determine is complete; HostError as for ``get``."""
        name = f"{kind}-{_key(kind, inputs)}"
        with self.using(name), suppress(_DamagedError):
            return self._open(name) is not None
        return False

    def images(self) -> list[Built]:
        """Every complete image, by name; raises HostError if the store cannot be read."""
        found = []
        for name in self.names():
            with suppress(_DamagedError):
                if (image := self._open(name)) is not None:
                    found.append(image)
        return found

    def broken(self) -> dict[str, str]:
        """What is wrong with each image that is visibly damaged, by its name."""
        found = {}
        for name in self.names():
            try:
                self._open(name)
            except _DamagedError as damage:
                found[name] = str(damage)
        return found

    def find(self, name: str) -> list[Built]:
        """The images whose names begin with ``name``."""
        return [image for image in self.images() if image.name.startswith(name)]

    def verify(self, image: Built) -> None:
        """Raises EvidenceError naming the first file whose content is not what was built.

        This reads everything that the manifest lists; ``get`` does so only sometimes.
        """
        for path in self.damaged(image):
            raise EvidenceError(
                f"{path} is not what was built",
                hint=f"zharness images clean {image.name} removes it",
            )

    def require_whole(self, image: Built) -> None:
        """Check an image that cannot be built again, as ``get`` does with an image that it finds.

        Raises EvidenceError if it is damaged.
        """
        self.last_use.note(image.name)
        try:
            self._require_content(image)
        except _DamagedError as damage:
            raise EvidenceError(
                f"image {image.name} is damaged ({damage})",
                hint=f"zharness images clean {image.name} removes it",
            ) from None

    def damaged(self, image: Built) -> Iterator[Path]:
        """The files whose content is not what was built; reads everything.

        Raises OSError for a file that is there but cannot be read on this host: its content is
        unknown.
        """
        try:
            looks = _looks(image)
        except OSError:  # a file is missing
            looks = ""
        whole = True
        for name, entry in image.manifest["files"].items():
            path = image.path / name
            try:
                if _Entry.model_validate(entry).fits(path):
                    continue
            except OSError as error:
                if error.errno in _UNREADABLE:
                    raise
            whole = False
            yield path
        with suppress(OSError):  # somebody else's store, read-only to us
            remembered = self._directory(_VERIFIED) / image.name
            if whole:
                replace_text(remembered, looks)
            else:
                remembered.unlink(missing_ok=True)

    def remove(self, image: Built) -> None:
        """Remove one image; processes that have its files open keep them."""
        with self.using(image.name), self.lock(image.name):
            self.bury(image.path)

    def sweep(self) -> None:
        """Remove what killed builders have left."""
        with self.using("sweep"), self.lock(_SWEEP_LOCK):
            self._sweep()

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Turns errors of a full, read-only or foreign disk into HostError, during a block."""
        try:
            yield
        except OSError as error:
            if disk_is_full(error):
                raise self._no_space(name) from error
            if error.errno in _UNUSABLE and self._is_about_us(error.filename):
                raise HostError(
                    f"cannot use the image store: {error.filename}: {error.strerror}",
                    hint=_OTHER_STORE,
                ) from error
            raise

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock for ``name``; reports the process that it waits for.

        Raises HostError if the store cannot be written; exceptions of the block do not change.
        """
        with ExitStack() as stack:
            with self.using(name):
                path = self._directory(_LOCKS) / name
                stack.enter_context(locked(path, name, self._progress))
            yield

    def for_files(self) -> Path:
        """A directory for files without a name; raises HostError if the store cannot be written."""
        with self.using("files"):
            return self._directory(_BUILDING)

    @contextmanager
    def workplace(self, name: str) -> Iterator[Path]:
        """A temporary directory in the store; if we are killed, ``sweep`` removes it later.

        Raises HostError if the store cannot be written.
        """
        with self.using(name), self.lock(_SWEEP_LOCK):  # nobody sweeps between creation and lock
            self._sweep()
            path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._directory(_BUILDING)))
            owner = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(owner)

    def bury(self, path: Path) -> None:
        """Rename a directory of the store away, then delete it: nobody sees half of it."""
        name = path.name
        with self.using(name), self.workplace(name) as grave, suppress(FileNotFoundError):
            path.rename(grave / name)

    def _open(self, name: str) -> Built | None:
        """The image, or None if there is none; raises _DamagedError if it is not complete."""
        path = self.root / name
        if not _is_directory(path):
            return None
        kind, _, key = name.rpartition("-")
        try:
            manifest = parse_object((path / MANIFEST).read_bytes(), path / MANIFEST)
            for file, entry in as_model(_Manifest, manifest, path / MANIFEST).files.items():
                if (path / file).stat().st_size != entry.size:
                    raise _DamagedError(f"size of {file}")
        except OSError as error:
            if not path.is_dir():
                return None  # removed meanwhile
            if error.errno in _UNREADABLE:
                raise
            what = Path(error.filename).name if error.filename else name
            raise _DamagedError(f"{what}: {error.strerror}") from error
        except EvidenceError as error:
            raise _DamagedError(MANIFEST) from error
        return Built(kind, key, path, manifest)

    def _require_content(self, image: Built) -> None:
        """Raises _DamagedError if a file is not what was built."""
        try:
            if (self.root / _VERIFIED / image.name).read_text() == _looks(image):
                return
        except (OSError, UnicodeDecodeError):
            pass  # it was not verified yet
        for path in self.damaged(image):
            raise _DamagedError(f"content of {path.name}")

    def _open_or_bury(self, name: str) -> Built | None:
        """Under its lock: the image if it is complete; a damaged one is reported and removed."""
        try:
            image = self._open(name)
            if image is not None:
                self._require_content(image)
        except _DamagedError as damage:
            with self._progress.task(f"image {name} is damaged ({damage}): building it again"):
                self.bury(self.root / name)
            return None
        return image

    def _build(self, name: str, inputs: Mapping[str, Any], build: Build) -> None:
        kept = self._directory(_FAILED) / f"{name}.log"
        with self.workplace(name) as building:
            log = building / LOG
            log.touch()
            try:
                facts = build(building, log)
            except BuildError as error:
                shutil.copyfile(log, kept)
                raise self._explained(error, name, kept) from error
            manifest = {
                "name": name,
                "inputs": inputs,
                **facts,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": _inventory(building),
            }
            (building / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
            for file in (log, building / MANIFEST):
                seal(file)
            publish(building, self.root / name)
        kept.unlink(missing_ok=True)

    def _explained(self, error: BuildError, name: str, log: Path) -> BuildError | HostError:
        """A failed build's error as the user shall see it."""
        if says_disk_is_full(error.message):
            return self._no_space(name)
        return type(error)(error.message, hint=error.hint or f"see {log}")

    def _no_space(self, name: str) -> HostError:
        return HostError(
            f"no space left in {self.root} for {name}", hint=f"free some, or {_OTHER_STORE}"
        )

    def _is_about_us(self, filename: Any) -> bool:
        """Whether an error's file is in the store, or is a directory above the store."""
        if not isinstance(filename, str):
            return False
        return Path(filename).is_relative_to(self.root) or self.root.is_relative_to(filename)

    def _sweep(self) -> None:
        """Under the sweep lock: a directory whose lock is free has no builder."""
        for path in self._directory(_BUILDING).iterdir():
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue  # its builder has ended meanwhile, which needs no lock
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)
            shutil.rmtree(path, ignore_errors=True)

    def names(self) -> list[str]:
        """Names of directories that can be images: nothing else below ``root`` is ever touched."""
        with self.using("a look at it"):
            if not _is_directory(self.root):
                return []
            names = [path.name for path in self.root.iterdir() if path.is_dir()]
        return sorted(name for name in names if _NAME.fullmatch(name))

    def _directory(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def _is_directory(path: Path) -> bool:
    """Raises OSError if that cannot be found out; Path.is_dir does not, from Python 3.14 on."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _looks(image: Built) -> str:
    """Facts that change when somebody writes to a file of the image; the content is not read."""
    looks = []
    for name in sorted(image.manifest["files"]):
        found = (image.path / name).stat()
        looks.append([name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino])
    return json.dumps(looks)


def _key(kind: str, inputs: Mapping[str, Any]) -> str:
    canonical = json.dumps([kind, inputs], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_DIGITS]


def _inventory(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and digest of each file, by its path; makes the files read-only and durable."""
    inventory = {}
    for file in sorted(_files(directory)):
        if file != directory / LOG:
            name = str(file.relative_to(directory))
            inventory[name] = _Entry.of(file).model_dump(exclude_none=True)
            seal(file)
    return inventory


def _files(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if entry.is_symlink():
            continue
        if entry.is_dir() and entry.name != TREE:
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def seal(file: Path) -> None:
    """Make a finished file durable and read-only."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
    file.chmod(file.stat().st_mode & ~_WRITE_BITS)


def publish(directory: Path, place: Path) -> None:
    """Move a directory of sealed files to ``place`` in the store, durably."""
    directory.chmod(0o755)  # a temporary directory is accessible to its owner only
    sync_directory(directory)
    directory.rename(place)
    sync_directory(place.parent)
