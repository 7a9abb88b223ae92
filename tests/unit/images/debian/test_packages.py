from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.images.debian import packages
from harness.images.debian.packages import (
    FILE_SYSTEMS,
    FOR_ALL_IMAGES,
    JUDGE,
    PackageSet,
    crash_set,
    judge_set,
    unpacked,
)
from harness.images.store import Built, Store, sha256
from harness.progress import NoProgress
from tests.support.fake_apt import FakeApt

TWO = PackageSet("packages", "bookworm", ("one", "two"))


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


def test_a_package_set_is_unpacked_and_pinned(apt: FakeApt, store: Store, tmp_path: Path) -> None:
    debs = [make_deb(tmp_path, name) for name in TWO.names]
    copies = "; ".join(f'cp "{deb}" .' for deb in debs)
    apt.says(script=f'[ "$1" = -qq ] || {{ {copies}; }}')

    def get() -> Built:
        return unpacked(store, NoProgress(), TWO)

    assert not packages.is_unpacked(store, TWO)
    image = get()
    assert packages.is_unpacked(store, TWO)
    assert (image.path / packages.ROOT / "bin" / "two").read_text() == "two"
    assert image.manifest["packages"] == [
        {"name": name, "version": "1:2-3", "sha256": sha256(deb)}
        for name, deb in zip(TWO.names, debs, strict=True)
    ]
    apt.says(script="echo E: there is no network; exit 100")
    assert get() == image, "a warm store needs no network"


@pytest.mark.parametrize(
    "wanted", [*FOR_ALL_IMAGES, FILE_SYSTEMS, JUDGE, judge_set("sid"), crash_set(None)]
)
def test_what_a_set_is_does_not_follow_from_the_hosts_release(
    wanted: PackageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "host_architecture", lambda: "amd64")
    seen = []
    for codename in ("bookworm", "trixie", "noble"):
        release = {"ID": "linux", "VERSION_CODENAME": codename}
        monkeypatch.setattr("platform.freedesktop_os_release", lambda release=release: release)
        seen.append(wanted.inputs)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["architecture"] == ("amd64" if wanted.native else "s390x")
