"""Kernels given by path: what they are, which vmlinux is theirs, that they stay as they are."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import pytest

from harness.errors import HostError, UsageError
from harness.images import disk as disk_module
from harness.images.disk import DiskSpec, dump_disk
from harness.images.initramfs.build import IMAGE
from harness.images.kernel import image as kernel_image
from harness.images.kernel.build import Kernel, foreign_kernel
from harness.images.provide import Images
from harness.images.store import Built, Store
from harness.progress import NoProgress
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.load import load_all
from tests.support.kernels.vmlinux import ANOTHER_ID, BANNER, ID, note, vmlinux

VERSION = b"6.12.1 (me@here) #7 SMP Thu Jan 1"


def image(build_id: bytes | None = ID, version: bytes = VERSION) -> bytes:
    """A bzImage: entry mark, pointer to the version, version, and, unless None, a payload."""
    head = bytearray(0x10500)
    head[0x10008:0x1000E] = b"S390EP"
    struct.pack_into(">Q", head, 0x10428, 0x10480)
    head[0x10480 : 0x10480 + len(version)] = version
    if build_id is None:
        return bytes(head)
    return bytes(head) + gzip.compress(bytes(0x20000) + note(build_id) + BANNER)


@pytest.fixture
def files(tmp_path: Path):
    """Writes image and vmlinux."""

    def write(image_data: bytes, vmlinux_data: bytes) -> tuple[Path, Path]:
        paths = tmp_path / "bzImage", tmp_path / "vmlinux"
        for path, data in zip(paths, (image_data, vmlinux_data), strict=True):
            path.write_bytes(data)
        return paths

    return write


@pytest.mark.parametrize(
    ("in_image", "in_vmlinux"),
    [(ID, ID), (ID, None), (None, ID), (None, None)],
    ids=["by build-id", "no build-id", "no payload", "neither"],
)
def test_its_own_vmlinux_is_recorded(files, in_image, in_vmlinux):
    kernel_path, path = files(image(in_image), vmlinux(in_vmlinux))
    kernel = foreign_kernel(kernel_path, path)
    assert kernel.identity() == {
        "release": "6.12.1",
        "sha256": hashlib.sha256(kernel_path.read_bytes()).hexdigest(),
        "origin": str(kernel_path),
        "vmlinux": {
            "path": str(path),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "build_id": None if in_vmlinux is None else in_vmlinux.hex(),
        },
    }
    assert foreign_kernel(kernel_path).identity()["vmlinux"] is None


FOREIGN = {
    "another build-id": (image(), vmlinux(ANOTHER_ID), f"build-id {ANOTHER_ID.hex()} is not in"),
    "another release": (
        image(),
        vmlinux(None, BANNER.replace(b"6.12.1", b"6.12.2")),
        r"that is Linux version 6\.12\.1 \(me@here\) #7 SMP",
    ),
    "another build": (image(None), vmlinux(ID, BANNER.replace(b"#7", b"#8")), "Linux version"),
    "another builder": (image(None), vmlinux(ID, BANNER.replace(b"me@", b"you@")), "Linux version"),
    "no version to compare": (image(None, b""), vmlinux(), "Linux version unknown"),
    "no banner": (image(None), vmlinux(banner=b""), "Linux version"),
    "x86": (image(), vmlinux(machine=62), "is not of s390x, but of x64"),
    "31 bits": (image(), vmlinux(bits=32), "vmlinux .* is not"),
    "no ELF": (image(), b"text", "is not an ELF file"),
    "torn": (image(), vmlinux()[:70], "is not an ELF file"),
}


@pytest.mark.parametrize(("image_data", "vmlinux_data", "what"), FOREIGN.values(), ids=FOREIGN)
def test_a_vmlinux_of_another_kernel_is_refused(files, image_data, vmlinux_data, what):
    kernel_path, path = files(image_data, vmlinux_data)
    with pytest.raises(UsageError, match=what) as refusal:
        foreign_kernel(kernel_path, path)
    assert str(path) in refusal.value.message


def test_a_vmlinux_without_its_kernel_is_refused(tmp_path: Path):
    images = Images(Store(tmp_path / "store", NoProgress()), NoProgress())
    with pytest.raises(UsageError, match="vmlinux needs a kernel given by path"):
        images.crashed_kernel(None, Path("vmlinux"))


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


SPECIAL = {
    "FIFO": (fifo, "is not a regular file"),
    "device": (lambda _: Path("/dev/zero"), "is not a regular file"),
    "directory": (lambda path: path.parent, "is not a regular file"),
    "absent": (lambda path: path, "No such file"),
}


@pytest.mark.parametrize(("make", "what"), SPECIAL.values(), ids=SPECIAL)
@pytest.mark.timeout(20)  # where a FIFO is read, nothing ends
def test_only_regular_files_are_read(tmp_path: Path, make, what):
    path = make(tmp_path / "special.toml")
    (tmp_path / "bzImage").write_bytes(image())
    with pytest.raises(UsageError, match=rf"kernel {path}.*{what}"):
        foreign_kernel(path)
    with pytest.raises(UsageError, match=rf"vmlinux {path}.*{what}"):
        foreign_kernel(tmp_path / "bzImage", path)
    if path.suffix:
        with pytest.raises(UsageError, match=rf"scenario {path}.*{what}"):
            load_all(str(path))


def test_a_file_that_is_not_a_kernel_is_not_read_to_its_end(tmp_path: Path):
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(1 << 42)  # more than fits any memory
    with pytest.raises(UsageError, match="no 'S390EP'"):
        kernel_image.check(path)


def changed(path: Path) -> None:
    path.write_bytes(image(ANOTHER_ID))


@pytest.mark.parametrize("change", [changed, Path.unlink])
def test_an_image_that_changes_is_told(files, change):
    path, _ = files(image(), b"")
    kernel = foreign_kernel(path)
    kernel.require_unchanged()
    change(path)
    with pytest.raises(HostError, match=f"kernel {path} changed while it was used"):
        kernel.require_unchanged()


def test_no_disk_is_kept_of_a_kernel_that_changed_meanwhile(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """zipl is played: while it runs the user's build ends."""
    path, _ = files(image(), b"")
    kernel, store = foreign_kernel(path), Store(tmp_path / "store", NoProgress())
    ramdisk = Built("initramfs", "0" * 20, tmp_path, {"packages": []})
    (tmp_path / IMAGE).write_bytes(b"")
    monkeypatch.setattr(disk_module, "builder_initramfs", lambda *_: ramdisk)
    monkeypatch.setattr(disk_module, "run_zipl", lambda *_: changed(path))
    monkeypatch.setattr(disk_module, "check_boot_records", lambda *_: None)
    spec = DiskSpec(DiskLayout.PARTITION, 64 << 20, kernel, ramdisk, "")

    def host_kernel() -> Kernel:
        return kernel

    with pytest.raises(HostError, match="changed while it was used"):
        dump_disk(store, NoProgress(), spec, host_kernel)
    assert store.images() == []
