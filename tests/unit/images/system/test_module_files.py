"""The files of a system's modules, from the package of its kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.debian.packages import describe
from harness.images.store import Built, Store
from harness.images.system import module_files as subject
from harness.images.system.module_files import module_files
from harness.images.system.packages import DEBS, SystemPackages
from harness.progress import NoProgress
from tests.support.packages.debs import Member, file, make_deb

RELEASE = "6.1.0-9-s390x"
FOLDER = f"./lib/modules/{RELEASE}"
WANTED = SystemPackages("bookworm")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())


def found(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[Member]
) -> Path:
    debs = tmp_path / DEBS
    debs.mkdir()
    made = [
        make_deb(debs / "systemd_1.deb", []),
        make_deb(debs / f"linux-image-{RELEASE}_1.deb", members),
    ]
    packages = Built("packages-system", "0" * 20, tmp_path, {"packages": [*map(describe, made)]})
    monkeypatch.setattr(subject, "system_packages", lambda *given: packages)
    return module_files(store, NoProgress(), WANTED, RELEASE)


def test_all_modules_are_there(store, tmp_path, monkeypatch):
    members = [
        file(f"{FOLDER}/kernel/fs/ext4/ext4.ko", b"ext4"),
        file(f"{FOLDER}/kernel/lib/crc-itu.ko.xz", b"packed"),
        file(f"{FOLDER}/modules.order", b"text"),
        file(f"./boot/vmlinuz-{RELEASE}", b"kernel"),
    ]
    folder = found(store, tmp_path, monkeypatch, members)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert content == {"ext4.ko": b"ext4", "crc-itu.ko.xz": b"packed"}


def test_no_path_leads_out_of_the_folder(store, tmp_path, monkeypatch):
    folder = found(store, tmp_path, monkeypatch, [file("./../../../outside.ko", b"x")])
    assert [path.name for path in folder.iterdir()] == ["outside.ko"]


@pytest.mark.parametrize("members", [[], [file("./boot/vmlinuz", b"kernel")]])
def test_a_package_without_modules(store, tmp_path, monkeypatch, members):
    with pytest.raises(BuildError, match=rf"linux-image-{RELEASE}_1.deb has no modules"):
        found(store, tmp_path, monkeypatch, members)


def test_a_kernel_that_the_packages_do_not_have(store, tmp_path, monkeypatch):
    found(store, tmp_path, monkeypatch, [file("./a.ko", b"x")])
    with pytest.raises(BuildError, match=r"have no linux-image-6\.2"):
        module_files(store, NoProgress(), WANTED, "6.2")
