"""Kernel builds, with a make that only writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.kernel.build import _inputs
from harness.images.kernel.make import COMPILE, Make, environment
from harness.images.kernel.source import _Stored
from harness.images.kernel.spec import KernelSpec, Role

OBJECTS = "/tree/objects"
MAPS = f"-ffile-prefix-map=/tree/= -ffile-prefix-map={OBJECTS}=/linux"
SOURCE = 'CONFIG_INITRAMFS_SOURCE="initramfs.cpio.gz"'


class Tree(Tools):
    """make in a tree; its configuration loses ``lost``."""

    def __init__(self, directory: Path, lost: str = "") -> None:
        super().__init__(directory / "log", "the dump kernel")
        self.directory, self._lost = directory, lost
        self.asked: list[str] = []

    def run(self, argv: Sequence[str], **more: object) -> None:
        self.asked.append(argv[-1])
        if any("ZHARNESS_FACTS" in word for word in argv):
            raise BuildError("a Kconfig that our program does not fit")
        config = self.directory / "tree" / "objects" / ".config"
        if argv[-1] == "olddefconfig" and self._lost:
            config.write_text(config.read_text().replace(self._lost, ""))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("harness.images.kernel.make.require_tools", lambda tools: None)
    program = tmp_path / "tree/scripts/kconfig/conf.c"
    program.parent.mkdir(parents=True)
    program.touch()
    archive = tmp_path / "initramfs.gz"
    archive.write_bytes(b"ramdisk")
    return archive


def test_the_image_is_built_again_with_the_initramfs_in_it(tmp_path: Path, archive: Path):
    tree = Tree(tmp_path)
    made = Make(tmp_path / "tree", tree)
    (made.objects / ".config").write_text("CONFIG_A=y\n")
    made.build_in(archive)
    assert tree.asked == ["olddefconfig", "bzImage"]
    assert (made.objects / ".config").read_text() == f"CONFIG_A=y\n{SOURCE}\n"
    assert (made.objects / "initramfs.cpio.gz").read_bytes() == b"ramdisk"


def test_a_kernel_without_initramfs_is_refused(tmp_path: Path, archive: Path):
    """CONFIG_INITRAMFS_SOURCE depends on CONFIG_BLK_DEV_INITRD."""
    tree = Tree(tmp_path, lost=SOURCE)
    made = Make(tmp_path / "tree", tree)
    with pytest.raises(BuildError, match=r"INITRAMFS_SOURCE=.* does not hold"):
        made.build_in(archive)
    assert "bzImage" not in tree.asked


def test_another_initramfs_is_another_kernel(tmp_path: Path):
    def inputs(content: str) -> dict[str, object]:
        path = tmp_path / "initramfs.gz"
        path.write_text(content)
        return _inputs(replace(plain, built_in=path), source)

    plain = KernelSpec(Role.DUMP)
    source = _Stored({"package": "linux"}, tmp_path)
    assert inputs("one") == inputs("one")
    assert inputs("one") != inputs("two")
    assert "built in" not in _inputs(plain, source)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A ccache and a compiler that say what they are called with."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("ccache", "s390x-gcc"):
        (directory / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (directory / name).chmod(0o755)
    return directory


def compiled(programs: Path, *arguments: str, path: str = "") -> str:
    """What the compiler is called with."""
    return subprocess.run(
        [
            "/bin/sh",
            "-c",
            f". {COMPILE}",
            f"{OBJECTS}/programs/zharness-cc",
            "s390x-gcc",
            *arguments,
        ],
        env={"PATH": path or f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize(
    ("name", "text", "cached"),
    [
        ("a.c", "int a;\n", True),
        ("a.S", ".globl a\n", True),
        ("initramfs_data.S", '.incbin "usr/initramfs_inc_data"\n', False),
        ("configs.c", 'asm(".incbin \\"kernel/config_data.gz\\"");\n', False),
        ("a.txt", ".incbin\n", True),
    ],
)
def test_a_source_that_embeds_a_file_is_not_taken_from_the_cache(
    tmp_path: Path, programs: Path, name: str, text: str, cached: bool
):
    source = tmp_path / "a folder" / name
    source.parent.mkdir()
    source.write_text(text)
    said = compiled(programs, "-c", "-o", "a.o", str(source))
    begin = "ccache s390x-gcc" if cached else "s390x-gcc"
    assert said == f"{begin} -c -o a.o {source} {MAPS}\n"


def test_without_a_source_the_cache_decides(programs: Path):
    """kbuild asks for the version, and for what the compiler takes, with files that are none."""
    said = compiled(programs, "-c", "-x", "c", "/nothing.c", "--version")
    assert said == f"ccache s390x-gcc -c -x c /nothing.c --version {MAPS}\n"


def test_without_a_cache_there_is_the_compiler(programs: Path):
    (programs / "ccache").unlink()
    (programs / "sh").symlink_to("/bin/sh")
    assert compiled(programs, "a.c", path=str(programs)) == f"s390x-gcc a.c {MAPS}\n"


def test_a_command_is_the_same_in_each_tree(tmp_path: Path, archive: Path):
    (tmp_path / "other").mkdir()
    one, other = (Make(tmp_path / name, Tree(tmp_path)) for name in ("tree", "other"))
    assert one._make[3:] == other._make[3:]
    assert "CC=zharness-cc s390x-linux-gnu-gcc" in one._make
    found = shutil.which("zharness-cc", path=environment(tmp_path, tmp_path / "tree")["PATH"])
    assert found == f"{tmp_path}/tree/objects/programs/zharness-cc"


def test_objects_are_kept_without_what_is_linked_from_them(tmp_path: Path, archive: Path):
    tools = Tools(tmp_path / "log", "the dump kernel")
    one = Make(tmp_path / "tree", tools)
    for name in ("vmlinux", "vmlinux.lds", ".version", "kernel/a.o", ".config"):
        (one.objects / name).parent.mkdir(exist_ok=True)
        (one.objects / name).touch()
    os.utime(one.objects / "kernel/a.o", ns=(1, 1_000_000_001))
    one.keep(tmp_path / "objects.tar")
    (tmp_path / "other").mkdir()
    other = Make(tmp_path / "other", tools)
    other.take_over(tmp_path / "objects.tar")
    found = {str(path.relative_to(other.objects)) for path in other.objects.rglob("*")}
    assert found == {".config", "kernel", "kernel/a.o", "programs", "programs/zharness-cc"}
    with tarfile.open(tmp_path / "objects.tar") as kept:
        assert not [name for name in kept.getnames() if "programs" in name], "these are ours"
    assert (other.objects / "kernel/a.o").stat().st_mtime_ns == 1_000_000_001, "as make needs it"
