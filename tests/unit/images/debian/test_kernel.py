from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HostError, UsageError
from harness.images.debian.apt import private_apt
from harness.images.debian.kernel import DebianKernel, kbuild_of
from tests.support.fake_apt import SIZE, FakeApt

RELEASE, VERSION = "6.1.0-50-s390x", "6.1.176-1"
KERNEL = DebianKernel(RELEASE, VERSION, "bookworm")


@pytest.mark.parametrize(
    ("release", "common"),
    [
        (RELEASE, "linux-headers-6.1.0-50-common"),
        ("6.12.107+deb13-s390x", "linux-headers-6.12.107+deb13-common"),
    ],
)
def test_packages_are_found_by_the_release(release: str, common: str):
    packages = {f"linux-image-{release}": VERSION, "linux-image-s390x": "other", "systemd": "252"}
    kernel = DebianKernel.of(packages, "bookworm", release)
    assert kernel.version == VERSION
    assert kernel.debug_symbols == f"linux-image-{release}-dbg"
    assert kernel.headers == (f"linux-headers-{release}", common)
    assert kernel.pinned("one", "two") == (f"one={VERSION}", f"two={VERSION}")


def test_a_kernel_without_a_package_is_not_debians():
    with pytest.raises(UsageError, match=r"no package linux-image-6\.12\.1, so kernel 6\.12\.1 is"):
        DebianKernel.of({f"linux-image-{RELEASE}": VERSION}, "bookworm", "6.12.1")


def test_the_size_of_packages_is_known_before_they_are_fetched(apt: FakeApt):
    with private_apt() as private:
        assert KERNEL.require(private, ("one", "two")) == 2 * SIZE


def test_a_suite_with_another_kernel_is_told(apt: FakeApt):
    apt.says(absent=f"dbg={VERSION}")
    with private_apt() as private, pytest.raises(HostError, match="does not have all s390x") as bad:
        KERNEL.require(private, (KERNEL.debug_symbols,))
    assert f"{KERNEL.debug_symbols}={VERSION}" in bad.value.message
    assert "zharness images clean packages-system" in str(bad.value.hint)


@pytest.mark.parametrize(
    ("depends", "name"),
    [
        (
            "linux-headers-6.1.0-50-common (= 6.1.176-1), linux-kbuild-6.1 (>= 6.1.176-1), "
            "linux-compiler-gcc-12-s390",
            "linux-kbuild-6.1",
        ),
        (
            "linux-base (>= 4.12~), linux-image-6.12.107+deb13-s390x (= 6.12.107-1) | "
            "linux-image-6.12.107+deb13-s390x-unsigned (= 6.12.107-1), "
            "linux-kbuild-6.12.107+deb13, gcc-14",
            "linux-kbuild-6.12.107+deb13",
        ),
        ("linux-kbuild-7.2+deb14", "linux-kbuild-7.2+deb14"),
        ("libc6, not-linux-kbuild-6.1", None),
        ("", None),
    ],
)
def test_the_headers_say_which_kbuild_they_need(depends: str, name: str | None):
    assert kbuild_of(depends) == name


_NAMES = st.text(string.ascii_lowercase + string.digits + "+.-", min_size=1)
_OTHERS = st.lists(_NAMES.filter(lambda name: not name.startswith("linux-kbuild-")))


@given(_OTHERS, _NAMES, _OTHERS)
def test_kbuild_is_found_among_all_packages(before: list[str], version: str, after: list[str]):
    name = f"linux-kbuild-{version}"
    assert kbuild_of(", ".join([*before, f"{name} (>= 1)", *after])) == name


@given(st.text())
def test_any_text_can_be_read(text: str):
    assert (name := kbuild_of(text)) is None or name in text
