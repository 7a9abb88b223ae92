"""A QEMU of another suite, made of fake packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.images.debian.apt import private_apt
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.fake_apt import FakeApt, fake_apt
from tests.support.qemu.debian import PACKAGE, debian_qemu

PRINTS = """#!/bin/sh
echo "$QEMU_MODULE_DIR" "$@"
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return fake_apt(tmp_path / "bin", monkeypatch)


def packed(directory: Path, name: str, files: dict[str, str]) -> Path:
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: x\n"
    (tree / "DEBIAN/control").write_text(control)
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
        (tree / path).chmod(0o755)
    deb = directory / f"{name}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    return deb


def offers(apt: FakeApt, *debs: Path) -> None:
    names = "; ".join(f"echo Inst {deb.stem} '(1 Debian)'" for deb in debs)
    copies = "; ".join(f'cp "{deb}" .' for deb in debs)
    apt.says(script=f'case "$*" in *install*) {names} ;; *download*) {copies} ;; esac')


def test_what_a_package_needs_is_what_apt_would_install(apt: FakeApt) -> None:
    apt.says(script='echo "Reading"; echo "Inst b (1 x)"; echo "Inst a (2 y)"; echo "Conf a (2 y)"')
    with private_apt() as private:
        assert private.with_dependencies("a", "amd64", "sid") == ["a", "b"]
    assert apt.called("--no-install-recommends") == 1


def test_a_package_that_is_not_there_is_named(apt: FakeApt) -> None:
    apt.says(absent=PACKAGE)
    with private_apt() as private, pytest.raises(HostError, match=PACKAGE):
        private.with_dependencies(PACKAGE, "amd64", "sid")


def test_it_runs_with_its_own_loader_libraries_modules_and_firmware(
    apt: FakeApt, tmp_path: Path
) -> None:
    assert shutil.which("dpkg-deb"), "dpkg-deb is missing"
    libraries = "usr/lib/x86_64-linux-gnu"
    libc = packed(tmp_path, "libc6", {f"{libraries}/ld-linux-x86-64.so.2": PRINTS})
    offers(apt, libc, packed(tmp_path, PACKAGE, {f"usr/bin/{PACKAGE}": ""}))
    store = Store(tmp_path / "store", NoProgress())
    program = debian_qemu(store, NoProgress(), "trixie")
    root = program.parent / "root"
    said = subprocess.run([program, "-M", "x y"], capture_output=True, text=True, check=True)
    own = f"{root}/{libraries}"
    loaded = f"--library-path {own} --argv0 {program} {root}/usr/bin/{PACKAGE}"
    assert said.stdout == f"{own}/qemu {loaded} -L {root}/usr/share/qemu -M x y\n"
    assert f"# {PACKAGE} 1\n" in program.read_text()
    assert debian_qemu(store, NoProgress(), "trixie") == program
    assert apt.called("install") == 1


def test_packages_without_a_loader_are_refused(apt: FakeApt, tmp_path: Path) -> None:
    offers(apt, packed(tmp_path, PACKAGE, {f"usr/bin/{PACKAGE}": ""}))
    with pytest.raises(HostError, match="no loader"):
        debian_qemu(Store(tmp_path / "store", NoProgress()), NoProgress(), "trixie")
