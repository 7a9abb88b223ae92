from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.images.kernel.distribution import debian_kernel
from harness.images.kernel.spec import distribution_suite
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.s390x.zipl import ENTRY_MARK, ENTRY_OFFSET
from tests.support.fake_apt import FakeApt

RELEASE = "6.1.0-50-s390x"
NAME = f"linux-image-{RELEASE}"


def kernel_image(*, entry: bytes = ENTRY_MARK) -> bytes:
    return bytes(ENTRY_OFFSET) + entry + bytes(0x1000)


def make_deb(directory: Path, files: dict[str, bytes]) -> Path:
    tree = directory / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {NAME}\nVersion: 6.1.176-1\nArchitecture: s390x\n"
        "Maintainer: nobody\nDescription: none\n"
    )
    (tree / "boot").mkdir()
    for name, data in files.items():
        (tree / "boot" / name).write_bytes(data)
    deb = directory / f"{NAME}_6.1.176-1_s390x.deb"
    command = ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    return deb


def has(apt: FakeApt, deb: Path, *needed: str) -> None:
    """apt resolves the package to these, and fetches ``deb``."""
    lines = "; ".join(f"echo 'Inst {name} (1)'" for name in needed)
    apt.says(script=f'case "$*" in *download*) cp "{deb}" .;; *install*) {lines};; esac')
    apt.says_of_cache("echo Installed-Size: 100000")


@pytest.mark.parametrize(
    ("name", "suite"),
    [
        ("debian", "bookworm"),
        ("debian@trixie", "trixie"),
        ("debian@", None),
        ("debian/bzImage", None),
        ("kernel-dump", None),
        ("bzImage", None),
    ],
)
def test_a_name_of_the_distributions_kernel(name: str, suite: str | None):
    assert distribution_suite(name) == suite


def test_the_kernel_is_fetched_once_and_pinned(apt: FakeApt, store: Store, tmp_path: Path):
    deb = make_deb(
        tmp_path,
        {f"vmlinuz-{RELEASE}": kernel_image(), f"config-{RELEASE}": b"CONFIG_S390=y\n"},
    )
    has(apt, deb, "initramfs-tools", NAME, "linux-base")
    kernel = debian_kernel(store, NoProgress(), "bookworm")
    assert kernel.image.read_bytes() == kernel_image()
    assert kernel.config == "CONFIG_S390=y\n"
    assert kernel.vmlinux is None
    assert kernel.origin.startswith("kernel-debian-")
    apt.says(script="echo E: there is no network; exit 100")
    assert debian_kernel(store, NoProgress(), "bookworm") == kernel


@pytest.mark.parametrize(
    ("needed", "told"),
    [
        (("linux-base",), "none"),
        ((NAME, "linux-image-6.12.1-s390x"), f"{NAME}, linux-image-6.12.1-s390x"),
    ],
)
def test_a_suite_without_one_kernel_is_told(
    apt: FakeApt, store: Store, tmp_path: Path, needed: tuple[str, ...], told: str
):
    has(apt, make_deb(tmp_path, {}), *needed)
    with pytest.raises(HostError, match=f"needs one kernel, not: {told}$"):
        debian_kernel(store, NoProgress(), "bookworm")


def test_a_package_without_an_image_is_told(apt: FakeApt, store: Store, tmp_path: Path):
    has(apt, make_deb(tmp_path, {f"config-{RELEASE}": b""}), NAME)
    with pytest.raises(HostError, match="0 files vmlinuz"):
        debian_kernel(store, NoProgress(), "bookworm")


def test_an_image_for_another_architecture_is_told(apt: FakeApt, store: Store, tmp_path: Path):
    image = kernel_image(entry=b"other!")
    deb = make_deb(tmp_path, {f"vmlinuz-{RELEASE}": image, f"config-{RELEASE}": b""})
    has(apt, deb, NAME)
    with pytest.raises(HostError, match="not an s390 kernel image"):
        debian_kernel(store, NoProgress(), "bookworm")


def test_a_mirror_without_the_package_is_the_hosts_fault(apt: FakeApt, store: Store):
    apt.says(absent="linux-image-s390x")
    with pytest.raises(HostError, match="has no s390x package linux-image-s390x"):
        debian_kernel(store, NoProgress(), "bookworm")


def test_the_word_is_no_path_and_its_name_in_the_store_is_one_too(
    apt: FakeApt, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    image = kernel_image()
    has(apt, make_deb(tmp_path, {f"vmlinuz-{RELEASE}": image, f"config-{RELEASE}": b""}), NAME)
    (tmp_path / "work/debian").mkdir(parents=True)  # as in the source of a package
    monkeypatch.chdir(tmp_path / "work")
    images = Images(store, NoProgress())
    kernel = images.crashed_kernel(Path("debian"))
    assert images.crashed_kernel(Path(kernel.origin)) == kernel
