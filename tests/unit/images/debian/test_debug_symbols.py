from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from harness.errors import BuildError, HostError
from harness.images.debian.debug_symbols import debug_vmlinux
from harness.images.debian.kernel import DebianKernel
from harness.images.store import Store
from harness.progress import NoProgress, Task
from tests.support.debian.debs import make_deb
from tests.support.fake_apt import FakeApt

KERNEL = DebianKernel("6.1.0-50-s390x", "6.1.176-1", "bookworm")
NAME = f"usr/lib/debug/boot/vmlinux-{KERNEL.release}"
FILES = {
    "usr/lib/debug/lib/modules/many.ko": "module" * 100_000,
    NAME: "vmlinux" * 100_000,
    "usr/lib/debug/zz": "later" * 100_000,
}


def offer(apt: FakeApt, deb: Path) -> None:
    apt.says(script=f'[ "$1" = -qq ] || cp "{deb}" .')


def test_only_vmlinux_is_kept_and_it_is_fetched_once(apt: FakeApt, store: Store, tmp_path: Path):
    offer(apt, make_deb(tmp_path, KERNEL.debug_symbols, KERNEL.version, FILES))
    first = debug_vmlinux(store, NoProgress(), KERNEL)
    asked = apt.called("download")
    assert first.read_text() == FILES[NAME]
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "build.log",
        "manifest.json",
        "vmlinux",
    ]
    assert debug_vmlinux(store, NoProgress(), KERNEL) == first
    assert apt.called("download") == asked


def test_exactly_the_kernels_version_is_asked_for(apt: FakeApt, store: Store, tmp_path: Path):
    offer(apt, make_deb(tmp_path, KERNEL.debug_symbols, KERNEL.version, FILES))
    debug_vmlinux(store, NoProgress(), KERNEL)
    assert apt.called(f"{KERNEL.debug_symbols}={KERNEL.version}") == apt.called("download")
    (image,) = store.images()
    assert image.manifest["package"]["version"] == KERNEL.version


def test_another_version_in_the_suite_is_no_substitute(apt: FakeApt, store: Store):
    apt.says(absent=f"={KERNEL.version}")
    with pytest.raises(HostError, match=rf"belong to kernel {KERNEL.release} of the system"):
        debug_vmlinux(store, NoProgress(), KERNEL)
    assert store.images() == []


def test_a_package_without_vmlinux_is_an_error(apt: FakeApt, store: Store, tmp_path: Path):
    offer(apt, make_deb(tmp_path, KERNEL.debug_symbols, KERNEL.version, {"usr/lib/other": ""}))
    with pytest.raises(BuildError, match=rf"has no file /{NAME}"):
        debug_vmlinux(store, NoProgress(), KERNEL)


def test_a_damaged_package_is_an_error(apt: FakeApt, store: Store, tmp_path: Path):
    # it does not compress well, so what is cut off is content
    files = {NAME: Random(1).randbytes(100_000).hex()}
    deb = make_deb(tmp_path, KERNEL.debug_symbols, KERNEL.version, files)
    deb.write_bytes(deb.read_bytes()[:-20_000])
    offer(apt, deb)
    with pytest.raises(BuildError, match="cannot be unpacked"):
        debug_vmlinux(store, NoProgress(), KERNEL)
    assert store.images() == []


class Said(NoProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.lines.append(what)
        with super().task(what, total, unit) as task:
            yield task


def test_the_size_is_said_before_anything_is_fetched(apt: FakeApt, store: Store, tmp_path: Path):
    apt.says(script='[ "$1" = -qq ] || { echo "E: no network"; exit 1; }')
    said = Said()
    with pytest.raises(HostError, match="no network"):
        debug_vmlinux(store, said, KERNEL)
    assert said.lines == ["fetch the debug symbols of kernel 6.1.0-50-s390x, 0 MB"]
