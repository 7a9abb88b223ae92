"""Kernel source: a package of the distribution, an archive, or a commit in a git repository."""

from __future__ import annotations

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.build.command import Tools, find_tool
from harness.build.packages import download
from harness.build.store import TREE, Built, Store, sha256
from harness.errors import HostError, UsageError
from harness.paths import require_file
from harness.progress import Progress

KIND, DEFAULT = "linux-tree", "linux-default"
_PACKAGE = re.compile(r"(linux-source-(\d+)\.(\d+))(?:@([a-z][a-z-]*))?")
_HINT = "a source is linux-source-X.Y, linux-source-X.Y@SUITE, an archive, or REPOSITORY@REVISION"


class Source(ABC):
    """A kernel source. ``identity`` (JSON) is all that its content depends on."""

    identity: Mapping[str, Any]

    @abstractmethod
    def place(self, directory: Path, tools: Tools) -> None:
        """Put the tree into ``directory``, which does not exist yet.

        No file there is to be changed in place: it may be shared with the store.
        """


@dataclass(frozen=True)
class _Stored(Source):
    """A tree that the store keeps unpacked."""

    identity: Mapping[str, Any]
    tree: Path

    def place(self, directory: Path, tools: Tools) -> None:
        tools.run(["cp", "-al", str(self.tree), str(directory)])


@dataclass(frozen=True)
class _Commit(Source):
    """A commit; its content is determined by its tree, whoever committed it."""

    identity: Mapping[str, Any]
    repository: Path
    commit: str

    def place(self, directory: Path, tools: Tools) -> None:
        directory.mkdir()
        index = directory / ".index"
        with_index = replace(tools, environment={**tools.environment, "GIT_INDEX_FILE": str(index)})
        git = ["git", "-C", str(self.repository), f"--work-tree={directory}"]
        with_index.run([*git, "read-tree", self.commit])
        with_index.run([*git, "checkout-index", "--all"])
        index.unlink()


def kernel_source(store: Store, progress: Progress, text: str | None = None) -> Source:
    """What a user means by ``text``; without it the newest package that apt offers.

    ``linux-source-6.1`` is a package of the host's release, ``linux-source-5.10@bullseye`` one of
    another release on the same mirror; a path is an archive (tar, compressed or not), or a git
    repository with, after ``@``, any name of a commit (HEAD if there is none). A package is
    fetched once and then pinned, until it is removed from the store. Raises UsageError if ``text``
    means nothing, HostError if apt has no such package.
    """
    if text is None:
        return _default(store, progress)
    if match := _PACKAGE.fullmatch(text):
        return _package(store, progress, match[1], match[4])
    path, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    archive, repository = Path(text).expanduser(), Path(path).expanduser()
    if archive.is_file():
        return _archive(store, progress, archive)
    if repository.is_dir():
        return _commit(repository, revision or "HEAD")
    raise UsageError(f"there is no kernel source '{text}'", hint=_HINT)


def apply(patch: Path, tree: Path, tools: Tools) -> None:
    """Apply a unified diff to a placed tree; raises BuildError if it does not fit.

    patch(1) writes a new file in the place of each that it changes, so a shared one stays as it is.
    """
    tools.run(["patch", "-d", str(tree), "-p1", "--batch", "-i", str(patch.resolve())])


def _default(store: Store, progress: Progress) -> Source:
    """The newest package of apt's when this was first asked: that is kept, too."""

    def build(directory: Path, log: Path) -> dict[str, Any]:
        return {"package": _newest()}

    return _package(store, progress, store.get(DEFAULT, {}, build).manifest["package"], None)


def _package(store: Store, progress: Progress, name: str, suite: str | None) -> Source:
    def build(directory: Path, log: Path) -> dict[str, Any]:
        tools = Tools(log, KIND)
        with progress.task(f"fetch and unpack {name}"):
            debs = directory / "debs"
            (deb,) = download([name], debs, tools, _host_architecture(), suite)
            tools.run(["dpkg-deb", "-x", str(deb), str(directory / "package")])
            (archive,) = (directory / "package" / "usr" / "src").glob("linux-source-*.tar.xz")
            _unpack(archive, directory / TREE, tools)
            tools.run(["rm", "-r", str(debs), str(directory / "package")])
        return {"package": name, "identity": {"package": deb.name}}

    return _stored(store.get(KIND, {"package": name, "suite": suite}, build))


def _archive(store: Store, progress: Progress, path: Path) -> Source:
    require_file(path, "kernel source")
    identity = {"archive": sha256(path)}

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with progress.task(f"unpack {path.name}"):
            _unpack(path, directory / TREE, Tools(log, KIND))
        return {"package": path.name, "identity": identity}

    return _stored(store.get(KIND, identity, build))


def _commit(repository: Path, revision: str) -> Source:
    commit, tree = (
        revision_of(repository, f"{revision}^{{{kind}}}") for kind in ("commit", "tree")
    )
    return _Commit({"git tree": tree}, repository.resolve(), commit)


def _stored(image: Built) -> Source:
    return _Stored(image.manifest["identity"], image.path / TREE)


def _unpack(archive: Path, directory: Path, tools: Tools) -> None:
    directory.mkdir()
    tools.run(["tar", "-x", "-C", str(directory), "--strip-components=1", "-f", str(archive)])


def revision_of(repository: Path, name: str, hint: str | None = _HINT) -> str:
    """The full name of a git object; raises UsageError if there is none of that ``name``."""
    git = [find_tool("git"), "-C", str(repository), "rev-parse", "--verify", "--quiet"]
    answer = subprocess.run([*git, name], capture_output=True, text=True, check=False)
    if answer.returncode:
        what = answer.stderr.strip() or f"no commit '{name.partition('^')[0]}'"
        raise UsageError(f"kernel source {repository}: {what}", hint=hint)
    return answer.stdout.strip()


def _newest() -> str:
    find_tool("apt-cache")
    names = subprocess.run(
        ["apt-cache", "pkgnames", "linux-source-"], capture_output=True, text=True, check=False
    ).stdout.split()
    packages = [name for name in names if _PACKAGE.fullmatch(name)]
    if not packages:
        raise HostError(
            "apt on this host offers no linux-source package to build kernels from",
            hint="apt-get update, or give kernels by path: --kernel and --dump-kernel",
        )
    return max(packages, key=_version)


def _version(package: str) -> tuple[int, int]:
    match = _PACKAGE.fullmatch(package)
    assert match is not None
    return int(match[2]), int(match[3])


def _host_architecture() -> str:
    return subprocess.run(
        [find_tool("dpkg"), "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
