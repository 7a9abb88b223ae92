"""s390x user space from the distribution's own packages, through a private apt root.

The mirror, suites and keys are those that the host's apt already uses, so signatures are
verified and no root rights are needed; nothing on the host changes. A package set is fetched
once and then pinned: its versions and digests stand in its manifest.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.build.command import Tools, find_tool
from harness.build.store import Built, Store, sha256
from harness.errors import BuildError, HostError
from harness.progress import Progress

ARCHITECTURE = "s390x"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ROOT = "root"  # the unpacked tree within the image

_TARGET = "$(ORIGIN)|$(CREATED_BY)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)"
_POCKETS = ("updates", "security")  # not backports and the like, which nobody asked for

USER_SPACE = (
    "busybox-static",
    "e2fsprogs",
    "libblkid1",
    "libc6",
    "libcom-err2",
    "libexpat1",
    "libext2fs2",
    "libffi8",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libuuid1",
    "python3.11-minimal",
    "s390-tools",
    "zlib1g",
)
JUDGE = ("libfuse2",)
NEWER_JUDGE = (
    "libatomic1",
    "libc6",
    "libfuse3-4",
    "libglib2.0-0t64",
    "libpcre2-8-0",
    "libssl3t64",
    "libzstd1",
    "s390-tools",
    "zlib1g",
)


def user_space(store: Store, progress: Progress) -> Built:
    """All s390x packages the images need, unpacked below ``root``.

    Raises HostError if the host's apt has no Debian sources or they have no such package.
    """
    return package_set(store, progress, "packages", USER_SPACE)


def judge_packages(store: Store, progress: Progress, suite: str | None = None) -> Built:
    """What zgetdump needs and nothing else does.

    With ``suite``, trixie or a later one, that suite's zgetdump and everything it needs.
    """
    names = JUDGE if suite is None else NEWER_JUDGE
    return package_set(store, progress, "packages-judge", names, suite=suite)


def package_set(
    store: Store,
    progress: Progress,
    kind: str,
    names: Sequence[str],
    architecture: str = ARCHITECTURE,
    suite: str | None = None,
) -> Built:
    """Exactly the packages ``names``, without what they depend on, unpacked below ``root``.

    They are of the host's release, or of another ``suite``.
    """

    def build(directory: Path, log: Path) -> dict[str, Any]:
        with progress.task(f"fetch {len(names)} {architecture} packages", len(names), "packages"):
            tools = Tools(log, kind)
            debs = download(names, directory / "debs", tools, architecture, suite)
            root = directory / ROOT
            root.mkdir()
            for deb in debs:
                tools.run(["dpkg-deb", "-x", str(deb), str(root)])
            facts = {"packages": [_describe(deb) for deb in debs]}
            shutil.rmtree(directory / "debs")
            return facts

    release = suite or _release()
    inputs = {"names": list(names), "architecture": architecture, "release": release}
    return store.get(kind, inputs, build)


def download(
    names: Sequence[str], into: Path, tools: Tools, architecture: str, suite: str | None = None
) -> list[Path]:
    """Fetch packages with apt, which verifies them; returns the ``.deb`` files, by name.

    They are of the host's release, or of another ``suite`` on the same mirror. Raises HostError
    in apt's own words if a source, a package or the network is missing.
    """
    into.mkdir()
    private = _private_apt(into / "apt", architecture, tools, suite)
    try:
        # by default apt is content with old or missing lists, and fails later and less clearly
        private.run(["apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update"])
        private.run(["apt-get", "-q", "download", *names], cwd=into)
    except BuildError as error:
        raise HostError(
            f"apt cannot fetch the {architecture} packages: {error.message.rpartition(': E: ')[2]}",
            hint="check the network and the host's apt sources: apt-get update",
        ) from error
    return sorted(into.glob("*.deb"))


def _private_apt(root: Path, architecture: str, tools: Tools, suite: str | None) -> Tools:
    """An apt with its own lists and cache below ``root``."""
    for directory in ("lists/partial", "archives/partial"):
        (root / directory).mkdir(parents=True)
    (root / "status").touch()
    sources = _sources(architecture, suite)
    (root / "sources.list").write_text("".join(f"{line}\n" for line in sources))
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
    return Tools(tools.log, tools.what, {"APT_CONFIG": str(root / "apt.conf")})


def _sources(architecture: str, suite: str | None) -> list[str]:
    """The host's Debian sources, for another architecture; or another suite beside them."""
    listing = subprocess.run(
        [find_tool("apt-get"), "indextargets", "--format", _TARGET],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    release = _release()
    lines = _debian_sources(listing, release, architecture, suite)
    if not lines:
        raise HostError(
            f"apt on this host knows no Debian package source for '{release}', so there is no "
            f"{architecture} user space",
            hint="on Debian: apt-get update; elsewhere: run the harness on Debian 12 or newer",
        )
    if not KEYRING.is_file():
        raise HostError(
            f"{KEYRING} is missing, so packages cannot be verified",
            hint="apt-get install debian-archive-keyring",
        )
    return lines


def _debian_sources(
    listing: str, release: str, architecture: str, suite: str | None = None
) -> list[str]:
    """Lines of a sources.list from apt's index targets: only what Debian signed for ``release``.

    Origin and code name come from the Release files that the host's apt has verified, so it does
    not matter how its sources spell them. ``suite`` is taken from where ``release`` itself comes
    from, without its pockets.
    """
    pockets = {release, *(f"{release}-{pocket}" for pocket in _POCKETS)}
    wanted = pockets if suite is None else {release}
    lines = set()
    for line in listing.splitlines():
        origin, created_by, uri, codename, component = line.split("|")
        if (origin, created_by) == ("Debian", "Packages") and codename in wanted:
            options = f"arch={architecture} signed-by={KEYRING}"
            lines.add(f"deb [{options}] {uri} {suite or codename} {component}")
    return sorted(lines)


def _release() -> str:
    """The host's release, which the sources follow."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")
    except OSError:
        return "unknown"


def _describe(deb: Path) -> dict[str, str]:
    fields = subprocess.run(
        ["dpkg-deb", "-f", str(deb), "Package", "Version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    values = dict(line.split(": ", 1) for line in fields.splitlines())
    return {"name": values["Package"], "version": values["Version"], "sha256": sha256(deb)}
