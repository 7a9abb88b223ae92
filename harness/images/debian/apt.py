"""A private apt, which fetches packages of any Debian suite and architecture.

It has its own sources, lists and cache, so no root rights are needed and nothing on the host
changes. apt verifies the signature of each suite, and the digest of each package.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from harness.errors import BuildError, HarnessError, HostError, UsageError
from harness.host.together import together
from harness.host.tools import find_tool
from harness.images.command import Tools
from harness.images.debian import mirror
from harness.schema_words import did_you_mean

SUITES = ("bookworm", "trixie", "forky", "sid")  # those that were tried

_LOG = "log"
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
}
# 'URI' FILE SIZE DIGEST (apt-get(8), --print-uris)
_PRINTED_URI = re.compile(r"^'[^']+' \S+ (\d+) ", re.MULTILINE)

_INSTALLED = re.compile(r"^Inst (\S+) ", re.MULTILINE)  # apt-get(8), --simulate
_UNKNOWN = re.compile(r"E: (?:Unable to locate package|Package '?)\s*([a-z0-9][a-z0-9+.-]+)")
_INSTALLED_SIZE = re.compile(r"^Installed-Size: (\d+)$", re.MULTILINE)  # in KiB
_FETCHED = re.compile(r"Get:(\d+) ")
# Err:NUMBER URI SUITE/COMPONENT ARCHITECTURE PACKAGE ARCHITECTURE VERSION
_NOT_FETCHED = re.compile(r"^Err:\d+ \S+ \S+ \S+ (\S+) \S+ (\S+)")
_NO_SUITE = "does not have a Release file"
_MOST_NAMES = 5  # of missing packages, in a message


@dataclass(frozen=True)
class Resolved:
    """Packages with all that they need, by name; the bytes to fetch, and those on a disk then."""

    names: tuple[str, ...]
    bytes: int
    installed_bytes: int


@dataclass
class _Index:
    """The index of a suite: the tools that use it, or why there is none."""

    lock: Lock = field(default_factory=Lock)
    tools: Tools | None = None
    error: HarnessError | None = None


class Apt:
    """Fetches packages; the index of a suite is fetched once, when it is first needed.

    Any number of threads may use it.

    A name may be followed by a version: ``NAME=VERSION``.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._indexes: dict[tuple[str, str], _Index] = {}

    def fetch_indexes(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Fetch the indexes of (suite, architecture) side by side.

        An error is raised when that index is needed.
        """

        def fetch(suite: str, architecture: str) -> None:
            with suppress(HarnessError):
                self._of(suite, architecture)

        together([partial(fetch, *each) for each in wanted])

    def size(self, names: Sequence[str], architecture: str, suite: str) -> int | None:
        """The bytes to fetch for packages; None if the suite lacks one.

        Raises HostError if there is no index.
        """
        return _size(names, self._of(suite, architecture))

    def find(self, names: Sequence[str], architecture: str, suite: str) -> int:
        """The bytes to fetch for packages; raises HostError, which names missing packages.

        If there is no index (no source, no network, or no key), it has apt's own message.
        """
        size = self.size(names, architecture, suite)
        if size is None:
            absent = [name for name in names if self.size((name,), architecture, suite) is None]
            raise HostError(
                f"Debian's suite {suite} has no {architecture} package {', '.join(absent)}",
                hint="the mirror may be incomplete: name another one with "
                f"{mirror.OPTION} or {mirror.ENVIRONMENT}",
            )
        return size

    def download(
        self,
        names: Sequence[str],
        into: Path,
        architecture: str,
        suite: str,
        on_fetched: Callable[[float], None] | None = None,
    ) -> list[Path]:
        """Fetch packages into a new directory; returns the ``.deb`` files, by name.

        ``on_fetched`` gets the number of packages that apt has begun to fetch.
        Raises what ``find`` raises, and HostError if a package cannot be fetched.
        """
        self.find(names, architecture, suite)
        into.mkdir()
        lacking: list[str] = []

        def hear(line: str) -> None:
            if match := _NOT_FETCHED.match(line):
                lacking.append(f"{match[1]} {match[2]}")
            if on_fetched is not None and (match := _FETCHED.match(line)):
                on_fetched(float(match[1]))

        try:
            with _refusals(architecture, suite):
                tools = self._of(suite, architecture)
                tools.run(["apt-get", "-q", "download", *names], cwd=into, on_line=hear)
        except HostError as error:
            if not lacking:
                raise
            raise _incomplete(lacking, len(names), architecture, suite) from error
        return sorted(into.glob("*.deb"))

    def resolve(self, names: Sequence[str], architecture: str, suite: str) -> Resolved:
        """``names`` (or patterns, apt-patterns(7)) and everything that they need together.

        Raises UsageError for a package that the suite does not have, or that conflicts with
        another one; HostError if there is no index.
        """
        tools = self._of(suite, architecture)
        said: list[str] = []
        try:
            install = ["apt-get", "-q", "-s", "--no-install-recommends", "install", *names]
            tools.run(install, on_line=said.append)
        except BuildError as error:
            raise _refused("".join(said), tools, architecture, suite) from error
        found = sorted(_INSTALLED.findall("".join(said)))
        shown: list[str] = []
        tools.run(["apt-cache", "show", "--no-all-versions", *found], on_line=shown.append)
        installed = sum(map(int, _INSTALLED_SIZE.findall("".join(shown)))) << 10
        return Resolved(tuple(found), _size(found, tools) or 0, installed)

    def with_dependencies(self, name: str, architecture: str, suite: str) -> list[str]:
        """Names of a package and of everything that it needs in an empty system.

        Raises HostError as ``find`` does.
        """
        self.find((name,), architecture, suite)
        said: list[str] = []
        with _refusals(architecture, suite):
            install = ["apt-get", "-q", "-s", "--no-install-recommends", "install", name]
            self._of(suite, architecture).run(install, on_line=said.append)
        return sorted(_INSTALLED.findall("".join(said)))

    def _of(self, suite: str, architecture: str) -> Tools:
        """An apt for a suite, with the index of the suite; raises the same error each time."""
        with self._lock:
            index = self._indexes.setdefault((suite, architecture), _Index())
        with index.lock:
            if index.error is not None:
                raise index.error
            if index.tools is None:
                try:
                    index.tools = self._with_index(suite, architecture)
                except HarnessError as error:
                    index.error = error
                    raise
            return index.tools

    def _with_index(self, suite: str, architecture: str) -> Tools:
        find_tool("apt-get")
        line = mirror.source(suite, architecture)
        tools = _private(self._directory / f"{suite}-{architecture}", line, architecture)
        with _refusals(architecture, suite):
            # by default apt accepts old or missing lists, and fails later, with a message that is
            # less clear
            tools.run(["apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update"])
        return tools


@contextmanager
def private_apt() -> Iterator[Apt]:
    """An apt for the duration of a ``with`` block."""
    with TemporaryDirectory(prefix="zharness-apt-") as directory:
        yield Apt(Path(directory))


def _private(root: Path, source: str, architecture: str) -> Tools:
    for directory in ("lists/partial", "archives/partial"):
        (root / directory).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(f"{source}\n")
    (root / "apt.conf").write_text(
        f"""APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::Etc::SourceList "{root / "sources.list"}";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "{root / "lists"}";
Dir::State::Status "{root / "status"}";
Dir::Cache "{root}";
Dir::Cache::Archives "{root / "archives"}";
"""
    )
    return Tools(root / _LOG, "packages", {"APT_CONFIG": str(root / "apt.conf")})


def _refused(said: str, tools: Tools, architecture: str, suite: str) -> UsageError:
    """Why apt does not resolve a set of packages, from its words."""
    unknown = sorted(set(_UNKNOWN.findall(said)))
    if unknown:
        known: list[str] = []
        tools.run(["apt-cache", "pkgnames"], on_line=known.append)
        return UsageError(
            f"Debian's suite {suite} has no {architecture} package {', '.join(unknown)}",
            hint=did_you_mean(unknown[0], [name.strip() for name in known]) or None,
        )
    lines = [line.strip() for line in said.splitlines()]
    reasons = [line for line in lines if " : " in line or line.startswith("E: ")]
    why = " ".join((reasons or ["apt does not say why"])[0].split())
    return UsageError(
        f"these packages of Debian's suite {suite} do not go together: {why}",
        hint="leave one of them out",
    )


def _incomplete(lacking: Sequence[str], count: int, architecture: str, suite: str) -> HostError:
    more = f" and {len(lacking) - _MOST_NAMES} more" if len(lacking) > _MOST_NAMES else ""
    return HostError(
        f"the mirror lacks {len(lacking)} of {count} {architecture} packages of Debian's suite "
        f"{suite}, although its index names them: {', '.join(lacking[:_MOST_NAMES])}{more}",
        hint=f"name another mirror with {mirror.OPTION} or {mirror.ENVIRONMENT}, or choose "
        "another suite",
    )


def _size(names: Sequence[str], tools: Tools) -> int | None:
    """Bytes of packages; None if one of them is missing."""
    printed: list[str] = []
    try:
        tools.run(["apt-get", "-q", "--print-uris", "download", *names], on_line=printed.append)
    except BuildError:
        return None
    return sum(map(int, _PRINTED_URI.findall("".join(printed))))


@contextmanager
def _refusals(architecture: str, suite: str) -> Iterator[None]:
    """Turns apt's refusal into HostError, with apt's message."""
    try:
        yield
    except BuildError as error:
        if _NO_SUITE in error.message and suite not in SUITES:
            raise UsageError(
                f"Debian's archive has no suite '{suite}'",
                hint=did_you_mean(suite, SUITES) or f"such as {', '.join(SUITES)}",
            ) from error
        raise HostError(
            f"apt cannot fetch {architecture} packages of Debian's suite {suite}: "
            f"{error.message.rpartition(': E: ')[2]}",
            hint="check the network and the mirror, which apt's sources, "
            f"{mirror.OPTION} or {mirror.ENVIRONMENT} name",
        ) from error


def host_architecture() -> str:
    """Debian's name of this host's architecture; HostError if Debian 12 does not run on it."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise HostError(
            f"this host is {machine}, for which Debian 12 has no Python",
            hint=f"use a host that is one of {', '.join(_ARCHITECTURES)}",
        )
    return _ARCHITECTURES[machine]
