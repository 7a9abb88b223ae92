"""From a directory to a disk: whoever owns the files on the host, they are root's on the disk."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.dump.byte_source import File
from harness.dump.disk.partition_table import partition_numbered
from harness.errors import BuildError
from harness.images.command import Tools
from harness.images.disk import PARTITION_START
from harness.images.system.root_disk import make_root_disk, take_out
from harness.images.system.tree import Special, Tree

SIZE = 32 << 20
SOMEBODY = 4321


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree that somebody owns who is not root."""
    tree = Tree.create(tmp_path / "root")
    tree.write("/etc/hostname", b"name\n")
    tree.write("/bin/mount", b"program", 0o4755)
    tree.write("/etc/a name with \\ and blanks", b"x")
    tree.write("/etc/shadow", b"secret")
    tree.special["etc/shadow"] = Special(0, 42, 0o600)
    for number in range(300):
        tree.write(f"/usr/share/{number % 7}/{number}", b"x")
    if os.geteuid() == 0:
        for directory, names, files in os.walk(tree.root):
            for name in (".", *names, *files):
                os.chown(Path(directory, name), SOMEBODY, SOMEBODY, follow_symlinks=False)
        tree.root.joinpath("usr/bin/mount").chmod(0o4755)  # chown takes it away
    return tree


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "log", "a disk")


def owner_and_mode(disk: Path, path: str) -> tuple[int, int, str]:
    command = ["debugfs", "-R", f'stat "{path}"', f"{disk}?offset={PARTITION_START}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mode = re.search(r"Mode: +(\d+)", shown)
    owner = re.search(r"User: +(\d+) +Group: +(\d+)", shown)
    assert mode is not None, shown
    assert owner is not None, shown
    return int(owner[1]), int(owner[2]), mode[1]


def test_all_is_roots_but_what_is_special(tree: Tree, tools: Tools, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    make_root_disk(disk, SIZE, tree.root, tree.special, tools)
    assert owner_and_mode(disk, "/etc/shadow") == (0, 42, "0600")
    assert owner_and_mode(disk, "/usr/bin/mount") == (0, 0, "04755")
    for path in ("/", "/bin", "/usr", "/etc/hostname", "/etc/a name with \\ and blanks"):
        assert owner_and_mode(disk, path)[:2] == (0, 0), path
    for number in range(300):
        assert owner_and_mode(disk, f"/usr/share/{number % 7}/{number}")[:2] == (0, 0)


def test_the_file_system_is_whole_and_its_files_come_out_again(
    tree: Tree, tools: Tools, tmp_path: Path
) -> None:
    disk, copy = tmp_path / "disk.img", tmp_path / "copy"
    make_root_disk(disk, SIZE, tree.root, tree.special, tools)
    checked = subprocess.run(
        ["e2fsck", "-fn", f"{disk}?offset={PARTITION_START}"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    take_out(disk, "/etc/hostname", copy, tools)
    assert copy.read_bytes() == b"name\n"
    with File.open(disk) as source:
        partition = partition_numbered(source, 1)
    assert partition.start == PARTITION_START


def test_a_file_that_is_not_there(tree: Tree, tools: Tools, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    make_root_disk(disk, SIZE, tree.root, tree.special, tools)
    with pytest.raises(BuildError, match=r"has no /boot/vmlinuz$"):
        take_out(disk, "/boot/vmlinuz", tmp_path / "copy", tools)


def test_an_owner_of_no_file(tree: Tree, tools: Tools, tmp_path: Path) -> None:
    tree.special["etc/hostname"] = Special(0, 42, 0o600)
    tree.special["etc"] = Special(0, 0, 0o755)
    tree.root.joinpath("gone").touch()
    special = {**tree.special, "gone": Special(1, 1, 0o600)}
    disk = tmp_path / "disk.img"
    make_root_disk(disk, SIZE, tree.root, special, tools)
    assert owner_and_mode(disk, "/gone") == (1, 1, "0600")
    assert owner_and_mode(disk, "/etc/hostname") == (0, 42, "0600")
