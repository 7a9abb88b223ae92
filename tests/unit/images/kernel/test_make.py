"""Kernel builds, with a make that only writes down what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.kernel.build import _inputs
from harness.images.kernel.make import Make
from harness.images.kernel.source import _Stored
from harness.images.kernel.spec import KernelSpec, Role

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
