"""Pack the evidence of a run, and the images that it used, into a bundle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zstandard

from harness import __version__
from harness.errors import EvidenceError, HostError, UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import (
    ARGV,
    COLLECTED,
    CONSOLE,
    DIGESTS,
    FILES,
    MACHINE,
    OUTCOME,
    SUPERBLOCK,
)
from harness.evidence.pack.use import restored
from harness.evidence.snapshot import Snapshot
from harness.evidence.witnesses import Witnesses
from harness.files import sparse
from harness.files.json_file import read_object
from harness.files.json_text import to_text
from harness.files.plain_file import is_file, is_there, read_plain
from harness.host.paths import data_dir
from harness.images import disk
from harness.images.store import Store
from harness.progress import Progress
from harness.run.bundle import manifest
from harness.run.bundle.manifest import Entry, Manifest
from harness.run.plan import Plan
from harness.verify.witnesses.module_file import find

_LEVEL = 10
_TEXT_LIMIT = 64 << 20  # bytes of one text file of the evidence
_CHUNK = 1 << 20
_OF_DUMP = (CONSOLE, OUTCOME, COLLECTED, SUPERBLOCK, FILES)

Source = Path | bytes


def pack(evidence: Path, target: Path, store: Store, progress: Progress) -> Manifest:
    """Write the bundle of the run in ``evidence`` to the new file ``target``.

    Raises UsageError if the run has no verdict, cannot be replayed from its crash, or if the store
    no longer has its disk; EvidenceError for damaged evidence, HostError if it cannot be written.
    """
    with restored(evidence, progress):
        return _pack(evidence, target, store, progress)


def _pack(evidence: Path, target: Path, store: Store, progress: Progress) -> Manifest:
    sources = _Sources.of(evidence, store)
    with progress.task("read and hash what belongs to it"):
        files = {name: _entry(source) for name, source in sources.files.items()}
    told = Manifest(
        version=manifest.VERSION,
        harness=__version__,
        name=sources.name,
        result=sources.result,
        files=files,
    )
    total = sum({entry.sha256: entry.size for entry in files.values()}.values())
    try:
        with target.open("xb") as file:
            try:
                with progress.task(f"pack {target.name}", total / 1e6, "MB") as task:
                    _write(file, told, sources.files, lambda done: task.update(done / 1e6))
            except BaseException:
                target.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise UsageError(f"{target} is there already", hint="choose another name") from None
    except OSError as error:
        raise HostError(f"cannot write {target}: {error.strerror}") from error
    return told


class _Sources:
    """All files of a bundle, by their names in it."""

    def __init__(self, name: str, result: str, files: Mapping[str, Source]) -> None:
        self.name, self.result, self.files = name, result, files

    @classmethod
    def of(cls, evidence: Path, store: Store) -> _Sources:
        paths = RunDirectory(evidence)
        run, verdict = read_object(paths.run), read_object(paths.verdict)
        plan = Plan.from_json(run.get("plan"), paths.run)
        if plan.needs_own_crash:
            raise UsageError(
                f"{evidence}: its scenario has a time limit, which needs the boot of a new crash",
                hint="give the scenario away instead",
            )
        snapshot = Snapshot.open(paths.crash)
        inputs = run.get("inputs", {})
        roots = _Roots(evidence, store, run)
        witnesses = Witnesses.load(paths.crash)
        loaded = [module.name for module in (witnesses.modules if witnesses else None) or ()]
        files: dict[str, Source] = {
            manifest.DUMP_DISK: _disk(plan, inputs, store, evidence),
            **_kernel_files(inputs, snapshot, loaded),
            **_crash_files(snapshot, roots),
        }
        verdict |= {"host": None}  # its name
        files[_evidence(paths.verdict.name)] = roots.scrub(to_text(verdict).encode() + b"\n")
        for path in (paths.run, paths.journal):
            files[_evidence(path.name)] = roots.scrub(read_plain(path, _TEXT_LIMIT))
        for name in filter(lambda name: is_there(paths.dump / name), _OF_DUMP):
            data = read_plain(paths.dump / name, _TEXT_LIMIT)
            files[_evidence(f"dump/{name}")] = data if name == SUPERBLOCK else roots.scrub(data)
        return cls(plan.name, str(verdict.get("verdict")), files)


def _evidence(name: str) -> str:
    return f"{manifest.EVIDENCE}/{name}"


def _crash_files(snapshot: Snapshot, roots: _Roots) -> dict[str, Source]:
    """The crash without QEMU's command line, with its digests made anew."""
    files: dict[str, Source] = {}
    digests = {name: dict(saved) for name, saved in snapshot.digests.items() if name != ARGV}
    for name in digests:
        files[name] = snapshot.directory / name
    machine = roots.scrub(read_plain(snapshot.directory / MACHINE, _TEXT_LIMIT))
    files[MACHINE] = machine
    digests[MACHINE] = {"size": len(machine), "digest": sparse.digest_of(machine)}
    files[DIGESTS] = to_text(digests).encode() + b"\n"
    return {_evidence(f"crash/{name}"): source for name, source in files.items()}


def _disk(plan: Plan, inputs: Mapping[str, Any], store: Store, evidence: Path) -> Path:
    """The image of the dump disk before the dump."""
    if plan.scenario.dump.disk is not None:
        return plan.scenario.dump.disk
    key = inputs.get("dump disk")
    for image in store.images():
        if image.key == key and (image.path / disk.DISK).is_file():
            return image.path / disk.DISK
    raise UsageError(
        f"{evidence}: the store has no dump disk {key} any more, which was loaded in this run",
        hint=f"zharness replay {evidence} makes it again, or the run's own store has it: --store",
    )


def _kernel_files(
    inputs: Mapping[str, Any], snapshot: Snapshot, loaded: list[str]
) -> dict[str, Path]:
    """Both kernels' vmlinux, and the files of the modules that were loaded."""
    files = {}
    crashed = inputs.get("crashed kernel") or snapshot.machine.get("kernel") or {}
    for name, kernel in (
        (manifest.VMLINUX, crashed),
        (manifest.DUMP_VMLINUX, inputs.get("dump kernel") or {}),
    ):
        path = _vmlinux(kernel)
        if path is not None:
            files[name] = path
    if folder := crashed.get("modules"):
        for module in loaded:
            if (file := find(Path(folder), module)) is not None:
                files[f"{manifest.MODULES}/{file.name}"] = file
    return files


def _vmlinux(kernel: Mapping[str, Any]) -> Path | None:
    told = kernel.get("vmlinux")
    if not isinstance(told, dict) or not is_file(path := Path(str(told.get("path")))):
        return None
    # without a digest it could be any file of this host: evidence may come from anybody
    if _entry(path).sha256 != told.get("sha256"):
        raise EvidenceError(f"{path} is not the vmlinux that the run recorded")
    return path


class _Roots:
    """The paths of this host, which nobody else needs to know, and a word for each."""

    def __init__(self, evidence: Path, store: Store, run: Mapping[str, Any]) -> None:
        words = {
            str(evidence.resolve()): "EVIDENCE",
            str(evidence.absolute()): "EVIDENCE",
            str(store.root.resolve()): "STORE",
            str(store.root): "STORE",
            str(data_dir().resolve()): "HARNESS",
            str(Path.home()): "HOME",
            str(Path.cwd()): "HERE",
        }
        for path in _paths_in(run):
            words.setdefault(path, f"GIVEN/{Path(path).name}")
        ordered = sorted(words.items(), key=lambda item: -len(item[0]))
        self._words = [(path.encode(), word.encode()) for path, word in ordered if path != "/"]

    def scrub(self, text: bytes) -> bytes:
        """``text`` with a word in place of each of the paths."""
        for path, word in self._words:
            text = text.replace(path, word)
        return text


def _paths_in(data: Any) -> Iterator[str]:
    """Each string in JSON that is an absolute path; those in a guest are behind ``=>``."""
    if isinstance(data, dict):
        for value in data.values():
            yield from _paths_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from _paths_in(value)
    elif isinstance(data, str) and data.startswith("/"):
        path = data.partition("=>")[0].rstrip("/")
        if path:
            yield path


def _entry(source: Source) -> Entry:
    if isinstance(source, bytes):
        return Entry(size=len(source), sha256=hashlib.sha256(source).hexdigest())
    try:
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return Entry(size=size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise EvidenceError(f"{source}: {error.strerror}") from error


def _write(
    file: io.BufferedWriter,
    told: Manifest,
    sources: Mapping[str, Source],
    update: Callable[[int], None],
) -> None:
    by_digest = {told.files[name].sha256: name for name in sources}
    packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    done = 0
    with (
        packer.stream_writer(file, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive,
    ):
        text = json.dumps(told.to_json(), indent=1).encode() + b"\n"
        archive.addfile(_member(manifest.MANIFEST, len(text)), io.BytesIO(text))
        for digest, name in by_digest.items():
            source, size = sources[name], told.files[name].size
            member = _member(f"{manifest.OBJECTS}/{digest}", size)
            if isinstance(source, bytes):
                archive.addfile(member, io.BytesIO(source))
            else:
                with source.open("rb") as content:
                    archive.addfile(member, content)
            done += size
            update(done)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A member of the archive that tells nothing of its owner."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
