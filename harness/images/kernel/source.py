"""Kernel source: a package of the distribution, an archive, or a commit in a git repository."""

from __future__ import annotations

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.host.paths import require_file
from harness.host.tools import find_tool
from harness.images.command import Tools
from harness.images.debian.apt import Apt, private_apt
from harness.images.debian.packages import ARCHITECTURE
from harness.images.store import TREE, Built, Store, sha256
from harness.progress import Progress

KIND = "linux-tree"
_PACKAGE = re.compile(r"(linux-source-(\d+)\.(\d+))(?:@([a-z][a-z-]*))?")
# the suite whose main archive has a package, for suites that do not change any more
SUITES = {
    "linux-source-5.10": "bullseye",
    "linux-source-6.1": "bookworm",
    "linux-source-6.12": "trixie",
}
# the same kernels on every host, whatever the host's release offers
DEFAULT = "linux-source-6.12"
_HINT = "a source is linux-source-X.Y, linux-source-X.Y@SUITE, an archive, or REPOSITORY@REVISION"


class Source(ABC):
    """A kernel source. ``identity`` (JSON) has everything that its content depends on.

    ``commit`` is the full name of the commit, if it is one.
    """

    identity: Mapping[str, Any]
    commit: str | None

    @abstractmethod
    def place(self, directory: Path, tools: Tools) -> None:
        """Put the tree into ``directory``, which does not exist yet.

        Do not change a file there in place: it may be shared with the store.
        """


@dataclass(frozen=True)
class _Stored(Source):
    """A source tree that the store keeps unpacked."""

    identity: Mapping[str, Any]
    tree: Path
    commit: None = None

    def place(self, directory: Path, tools: Tools) -> None:
        tools.run(["cp", "-al", str(self.tree), str(directory)])


@dataclass(frozen=True)
class _Commit(Source):
    """A commit; only its tree determines the content."""

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


@dataclass(frozen=True)
class SourcePackage:
    """A kernel source package of a Debian suite."""

    name: str
    suite: str

    def __str__(self) -> str:
        return f"{self.name}@{self.suite}"

    @property
    def inputs(self) -> dict[str, Any]:
        """JSON: what determines its tree in the store."""
        return {"package": self.name, "suite": self.suite}

    def find(self, apt: Apt) -> int:
        """The bytes to fetch; raises HostError if the mirror does not have the package."""
        return apt.find((self.name,), ARCHITECTURE, self.suite)


def source_package(text: str | None) -> SourcePackage | None:
    """The package that ``text`` names, by default Linux 6.12's; None if it is not a package.

    Raises UsageError if the suite must be named.
    """
    match = _PACKAGE.fullmatch(text or DEFAULT)
    if match is None:
        return None
    name, suite = match[1], match[4] or SUITES.get(match[1])
    if suite is None:
        raise UsageError(
            f"kernel source {name}: it is not known which suite of Debian has it",
            hint=f"name the suite, as in {name}@sid",
        )
    return SourcePackage(name, suite)


def is_fetched(store: Store, package: SourcePackage) -> bool:
    """Whether the store has its tree already."""
    return store.has(KIND, package.inputs)


def kernel_source(
    store: Store, progress: Progress, text: str | None = None, apt: Apt | None = None
) -> Source:
    """The source that ``text`` names; without ``text`` the source of Linux 6.12.

    ``linux-source-6.1`` is a package of Debian, whose suite is known for the versions of its
    releases; for others it is named, as in ``linux-source-7.2@sid``. A path is an archive (tar,
    compressed or not), or a git repository with, after ``@``, any name of a commit (HEAD if there
    is none). A package is fetched once, by ``apt`` if there is one already, and then pinned, until
    it is removed from the store. Raises UsageError if ``text`` means nothing, HostError if the
    mirror has no such package.
    """
    if package := source_package(text):
        return _package(store, progress, package, apt)
    assert text is not None
    path, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    archive, repository = Path(text).expanduser(), Path(path).expanduser()
    if archive.is_file():
        return _archive(store, progress, archive)
    if repository.is_dir():
        return _commit(repository, revision or "HEAD")
    raise UsageError(f"there is no kernel source '{text}'", hint=_HINT)


def apply(patch: Path, tree: Path, tools: Tools) -> None:
    """Apply a unified diff to a placed tree; raises BuildError if it does not fit.

    patch(1) replaces each file that it changes by a new one, so a shared file does not change.
    """
    tools.run(["patch", "-d", str(tree), "-p1", "--batch", "-i", str(patch.resolve())])


def _package(store: Store, progress: Progress, package: SourcePackage, apt: Apt | None) -> Source:
    def build(directory: Path, log: Path) -> dict[str, Any]:
        if apt is not None:
            return fetch(apt, directory, log)
        with private_apt() as own:
            return fetch(own, directory, log)

    def fetch(apt: Apt, directory: Path, log: Path) -> dict[str, Any]:
        name, tools, debs = package.name, Tools(log, KIND), directory / "debs"
        with progress.task(f"fetch and unpack {name}"):
            # the package is for all architectures, so the index that the images need also has it
            (deb,) = apt.download((name,), debs, ARCHITECTURE, package.suite)
            tools.run(["dpkg-deb", "-x", str(deb), str(directory / "package")])
            (archive,) = (directory / "package" / "usr" / "src").glob("linux-source-*.tar.xz")
            _unpack(archive, directory / TREE, tools)
            tools.run(["rm", "-r", str(debs), str(directory / "package")])
        return {"package": name, "identity": {"package": deb.name}}

    return _stored(store.get(KIND, package.inputs, build))


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
    """The full name of the git object ``name``; raises UsageError if there is none."""
    git = [find_tool("git"), "-C", str(repository), "rev-parse", "--verify", "--quiet"]
    answer = subprocess.run([*git, name], capture_output=True, text=True, check=False)
    if answer.returncode:
        what = answer.stderr.strip() or f"no commit '{name.partition('^')[0]}'"
        raise UsageError(f"kernel source {repository}: {what}", hint=hint)
    return answer.stdout.strip()
