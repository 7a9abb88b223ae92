from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.images.initramfs import cpio
from harness.images.store import Store
from harness.images.zipl import chosen
from harness.images.zipl.chosen import Zipl, chosen_zipl
from harness.progress import NoProgress
from tests.support.programs import X86_64, elf

NAMES = b"\0/usr/lib/s390-tools/zfcpdump/zfcpdump-image\0" + b"\x002.40.0-build-20260723\0"
LOADER = "/lib/ld64.so.1"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The images' own libraries, which a tree may lack."""
    base = tmp_path / "packages"

    class Packages:
        path = base

    libraries = base / "root" / "lib" / "s390x-linux-gnu"
    libraries.mkdir(parents=True)
    (libraries / "libc.so.6").write_bytes(elf(("ld64.so.1",), tail=b"own"))
    (libraries / "ld64.so.1").write_bytes(elf())
    monkeypatch.setattr(chosen, "unpacked", lambda *_: Packages)
    return libraries


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of s390-tools after make, with a static zipl."""
    for directory in ("zipl/src", "zipl/boot"):
        (tmp_path / "tree" / directory).mkdir(parents=True)
    (tmp_path / "tree/zipl/src/zipl").write_bytes(elf(tail=NAMES))
    (tmp_path / "tree/zipl/boot/stage3.bin").write_bytes(b"stage")
    return tmp_path / "tree"


def zipl_at(tree: Path) -> Zipl:
    return chosen_zipl(Store(tree.parent / "store", NoProgress()), NoProgress(), str(tree))


def content(zipl: Zipl) -> dict[str, bytes]:
    return {file.name: file.data for file in zipl.files if not stat.S_ISDIR(file.mode)}


@pytest.mark.usefixtures("own")
def test_a_source_tree_gives_program_and_stage_files(tree: Path):
    zipl = zipl_at(tree)
    assert content(zipl) == {
        "sbin/zipl": elf(tail=NAMES),
        "lib/s390-tools/stage3.bin": b"stage",
        "usr/lib/s390-tools": b"/lib/s390-tools",  # a link: this zipl looks there
    }
    assert zipl.name == f"zipl 2.40.0-build-20260723 at {tree}"
    assert zipl.identity["path"] == str(tree)
    digest = hashlib.sha256(b"stage").hexdigest()
    assert zipl.identity["files"]["/lib/s390-tools/stage3.bin"] == digest


@pytest.mark.usefixtures("own")
def test_each_file_comes_after_its_directory(tree: Path):
    names: list[str] = []
    for entry in cpio.entries(cpio.archive(zipl_at(tree).files)):
        parent = str(Path(entry.name).parent)
        assert parent == "." or parent in names
        names.append(entry.name)


def test_libraries_come_from_the_tree_or_else_from_the_images(tree: Path, own: Path):
    (tree / "zipl/src/zipl").write_bytes(elf(("libc.so.6", "libz.so.1"), LOADER))
    (tree / "lib").mkdir()
    (tree / "lib/libz.so.1").write_bytes(elf(("libc.so.6",), tail=b"z"))
    found = content(zipl_at(tree))
    assert found["lib/s390x-linux-gnu/libz.so.1"].endswith(b"z")
    assert found["lib/s390x-linux-gnu/libc.so.6"].endswith(b"own")
    assert found["lib/ld64.so.1"] == (own / "ld64.so.1").read_bytes()


def remove(name: str) -> Callable[[Path], object]:
    return lambda tree: (tree / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda tree: (tree / name).write_bytes(data)


PROGRAM, STAGE = "zipl/src/zipl", "zipl/boot/stage3.bin"


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove(PROGRAM), "has no zipl"),
        (remove(STAGE), r"has no stage3\.bin"),
        (write(STAGE, b""), "has 0 bytes, which no boot stage"),
        (write(PROGRAM, elf(machine=X86_64)), "is not of s390x, but of x64"),
        (write(PROGRAM, b"#!/bin/sh\n"), "is not an ELF file"),
        (write(PROGRAM, elf()[:70]), "is not an ELF file"),
        (write(PROGRAM, elf(("libodd.so.1",), LOADER)), r"needs the library libodd\.so\.1"),
        (write(PROGRAM, elf(("../x",), LOADER)), r"needs the library \.\./x"),
    ],
)
def test_a_tree_that_lacks_something_is_refused(
    tree: Path, change: Callable[[Path], object], message: str
):
    change(tree)
    with pytest.raises(UsageError, match=message):
        zipl_at(tree)


@pytest.mark.usefixtures("own")
def test_what_is_no_directory_is_refused(tree: Path):
    with pytest.raises(UsageError, match="is not a directory"):
        zipl_at(tree / "zipl/src/zipl")
