from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build import packages
from harness.build.command import Tools
from harness.build.store import Built, Store, sha256
from harness.errors import HostError
from harness.progress import NoProgress

LISTING = """\
Debian|Packages|http://mirror.example/debian/|bookworm|main
Debian|Packages|http://mirror.example/debian/|bookworm|contrib
Debian|Packages|http://mirror.example/debian/|bookworm|main
Debian|Translations|http://mirror.example/debian/|bookworm|main
Debian|Packages|http://mirror.example/debian/|bookworm-updates|main
Debian|Packages|http://mirror.example/debian-security/|bookworm-security|main
Debian|Packages|http://mirror.example/debian/|bookworm-backports|main
Debian|Packages|http://mirror.example/debian/|trixie|main
Debian Backports|Packages|http://mirror.example/debian/|bookworm-backports|main
Somebody|Packages|http://elsewhere.example/debian/|bookworm|main
|Packages|http://never-updated.example/debian/|bookworm|main
"""


def test_only_what_debian_made_for_this_release() -> None:
    option = f"[arch=s390x signed-by={packages.KEYRING}]"
    assert packages._debian_sources(LISTING, "bookworm", "s390x") == [
        f"deb {option} http://mirror.example/debian-security/ bookworm-security main",
        f"deb {option} http://mirror.example/debian/ bookworm contrib",
        f"deb {option} http://mirror.example/debian/ bookworm main",
        f"deb {option} http://mirror.example/debian/ bookworm-updates main",
    ]


field = st.text(st.characters(exclude_characters="|", exclude_categories=["C", "Z"]))
origins = st.sampled_from(["Debian", "Ubuntu", ""]) | field
suites = st.sampled_from(["bookworm", "bookworm-security", "jammy", "sid"]) | field


@given(st.lists(st.tuples(origins, st.just("Packages"), field, suites, field)))
def test_no_foreign_source_slips_in(targets: list[tuple[str, ...]]) -> None:
    lines = packages._debian_sources(
        "\n".join("|".join(target) for target in targets), "bookworm", "s390x"
    )
    allowed = {
        f"{uri} {suite} {component}"
        for origin, _, uri, suite, component in targets
        if origin == "Debian" and suite in {"bookworm", "bookworm-security"}
    }
    assert {line.partition("] ")[2] for line in lines} == allowed


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "log", "packages")


@pytest.fixture
def fake_bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory at the head of PATH, for tools of our own."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def fake_apt(directory: Path, listing: str, script: str) -> None:
    (directory / "listing").write_text(listing)
    (directory / "apt-get").write_text(
        f'#!/bin/sh\nif [ "$1" = indextargets ]; then exec cat "{directory}/listing"; fi\n{script}'
    )
    (directory / "apt-get").chmod(0o755)


@pytest.fixture
def bookworm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(packages, "KEYRING", keyring)
    monkeypatch.setattr(packages, "_release", lambda: "bookworm")


def make_deb(directory: Path, name: str) -> Path:
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1:2-3\nArchitecture: s390x\n"
        "Maintainer: nobody\nDescription: none\n"
    )
    (tree / "bin").mkdir()
    (tree / "bin" / name).write_text(name)
    deb = directory / f"{name}_1%3a2-3_s390x.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)],
        check=True,
        capture_output=True,
    )
    return deb


@pytest.mark.usefixtures("bookworm")
@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb to make packages")
def test_a_package_set_is_unpacked_and_pinned(fake_bin: Path, tmp_path: Path) -> None:
    debs = [make_deb(tmp_path, name) for name in ("one", "two")]
    copies = "".join(f'cp "{deb}" .\n' for deb in debs)
    fake_apt(fake_bin, LISTING, f'case "$*" in *download*) {copies};; esac')
    store = Store(tmp_path / "store", NoProgress())

    def get() -> Built:
        return packages.package_set(store, NoProgress(), "packages", ["one", "two"])

    image = get()
    assert (image.path / packages.ROOT / "bin" / "two").read_text() == "two"
    assert image.manifest["packages"] == [
        {"name": name, "version": "1:2-3", "sha256": sha256(deb)}
        for name, deb in zip(("one", "two"), debs, strict=True)
    ]
    fake_apt(fake_bin, LISTING, "echo E: there is no network; exit 100")
    assert get() == image, "a warm store needs no network"


@pytest.mark.usefixtures("bookworm")
def test_apts_configuration_is_private(fake_bin: Path, tools: Tools, tmp_path: Path) -> None:
    fake_apt(fake_bin, LISTING, 'cp "$APT_CONFIG" "$(dirname "$0")/seen"')
    assert packages.download(["one"], tmp_path / "debs", tools, "s390x") == []
    seen = (fake_bin / "seen").read_text()
    assert 'APT::Architecture "s390x";' in seen
    for name in ("SourceList", "State::Lists", "State::Status", "Cache::Archives"):
        (line,) = (line for line in seen.splitlines() if name in line)
        assert f'"{tmp_path}/debs/apt/' in line
    assert "mirror.example" in (tmp_path / "debs" / "apt" / "sources.list").read_text()


@pytest.mark.usefixtures("bookworm")
@pytest.mark.parametrize(
    "said", ["Unable to locate package nonesuch", "Failed to fetch http://mirror.example/x"]
)
def test_apts_refusal_is_the_hosts_fault(
    fake_bin: Path, tools: Tools, tmp_path: Path, said: str
) -> None:
    fake_apt(fake_bin, LISTING, f"echo 'Get:1'; echo 'E: {said}'; echo 'E: more'; exit 100")
    with pytest.raises(HostError) as failure:
        packages.download(["nonesuch"], tmp_path / "debs", tools, "s390x")
    assert failure.value.message == f"apt cannot fetch the s390x packages: {said}"


@pytest.mark.usefixtures("bookworm")
@pytest.mark.parametrize("listing", ["", LISTING.replace("Debian", "Ubuntu")])
def test_a_host_without_debian_sources(
    fake_bin: Path, tools: Tools, tmp_path: Path, listing: str
) -> None:
    fake_apt(fake_bin, listing, "exit 1")
    with pytest.raises(HostError, match="knows no Debian package source for 'bookworm'"):
        packages.download(["one"], tmp_path / "debs", tools, "s390x")


def test_a_host_without_the_keyring(
    fake_bin: Path, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "KEYRING", tmp_path / "none.gpg")
    monkeypatch.setattr(packages, "_release", lambda: "bookworm")
    fake_apt(fake_bin, LISTING, "exit 1")
    with pytest.raises(HostError, match=r"none\.gpg is missing"):
        packages.download(["one"], tmp_path / "debs", tools, "s390x")


def _no_file() -> Sequence[str]:
    raise OSError("no os-release")


def test_a_host_that_does_not_say_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", _no_file)
    assert packages._release() == "unknown"
