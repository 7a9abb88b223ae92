"""A dump disk that was in use before: what is put on it, how it is damaged, what must be left."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.dump.collect import collect_file
from harness.dump.disk.look_for_files import ext_files
from harness.errors import HarnessError, UsageError
from harness.evidence.known_files import KnownFile, KnownFiles
from harness.host.tools import find_tool
from harness.images.command import Tools
from harness.progress import NoProgress
from harness.run.used_disk import content, prepare
from harness.run.used_disk.editor import Editor
from harness.scenario.model import Dump
from harness.scenario.used_disk import Damage
from tests.support.disks.ext import PARTITION_AT, add, debugfs, make_disk

KINDS = ("ext4", "ext3", "ext2")
REPAIRABLE = [kind for kind in Damage if kind is not Damage.SUPERBLOCKS]
CASES = [
    (layout, kind)
    for layout in KINDS
    for kind in REPAIRABLE
    if (layout, kind) != ("ext2", Damage.JOURNAL)
]


def used(tmp_path: Path, layout: str = "ext4", **fields: Any) -> tuple[Path, Dump]:
    """A small disk that is used as the fields of a scenario say."""
    disk = make_disk(tmp_path, layout)
    dump = Dump.model_validate({"layout": layout, "files": 1, **fields})
    prepare.prepare(disk, dump, tmp_path)
    return disk, dump


def files(tmp_path: Path) -> KnownFiles:
    known = KnownFiles.load(tmp_path)
    assert known is not None
    return known


def changed(disk: Path, dump: Dump, tmp_path: Path) -> set[str]:
    """The paths of files that are not as they were."""
    prepare.look_again(disk, dump, tmp_path)
    known = files(tmp_path)
    assert known.after is not None
    after = {file.path: (file.size, file.sha256) for file in known.after}
    return {file.path for file in known.before if after[file.path] != (file.size, file.sha256)}


def e2fsck(disk: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Check a copy of the file system alone, as the dump system sees it."""
    alone = disk.parent / "alone"
    alone.write_bytes(disk.read_bytes()[PARTITION_AT:])
    done = subprocess.run(
        [find_tool("e2fsck"), *options, alone], capture_output=True, text=True, check=False
    )
    disk.write_bytes(disk.read_bytes()[:PARTITION_AT] + alone.read_bytes())
    return done


@pytest.mark.parametrize("layout", KINDS)
def test_the_files_of_a_seed_are_on_the_disk_in_a_sound_file_system(tmp_path, layout):
    disk, dump = used(tmp_path, layout, older_dumps=2)
    known = files(tmp_path)
    assert len(known.before) == len(content.FILES) + 2
    assert len({file.sha256 for file in known.before}) == len(known.before)
    assert changed(disk, dump, tmp_path) == set()
    assert e2fsck(disk, "-f", "-n").returncode == 0


def test_the_same_seed_makes_the_same_files_and_another_makes_others(tmp_path):
    def made(name: str, seed: int) -> list[KnownFile]:
        (tmp_path / name).mkdir()
        used(tmp_path / name, files=seed)
        return files(tmp_path / name).before

    first = made("a", 1)
    assert made("b", 1) == first
    assert {one.sha256 for one in made("c", 2) if one.size} & {one.sha256 for one in first} == set()


def test_older_dumps_fill_the_disk_and_the_oldest_is_not_the_first(tmp_path):
    disk, _ = used(tmp_path, older_dumps=3)
    assert [file.path for file in files(tmp_path).older_dumps] == ["/dump.1", "/dump.2", "/dump.0"]
    free = Editor(disk, 1, 512, tmp_path / "log").free_bytes
    assert free < 3 << 20


def test_older_dumps_are_in_the_directory_for_dumps(tmp_path):
    used(tmp_path, older_dumps=1, parmline="dump_dir=/a/b")
    assert [file.path for file in files(tmp_path).older_dumps] == ["/a/b/dump.0"]


def test_older_dumps_without_room_are_a_mistake_of_the_user(tmp_path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "big", b"x" * (9 << 20), 1)
    with pytest.raises(UsageError, match="have no room"):
        prepare.prepare(disk, Dump(layout="ext4", files=1, older_dumps=8), tmp_path)


def test_a_disk_without_room_for_the_files_is_an_error_of_ours(tmp_path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "big", b"x" * (12 << 20), 1)
    with pytest.raises(HarnessError, match="debugfs did not write /known"):
        prepare.prepare(disk, Dump(layout="ext4", files=1), tmp_path)


@pytest.mark.parametrize("path", [path for path, size in content.FILES.items() if size])
def test_one_byte_that_differs_is_seen(tmp_path, path):
    disk, dump = used(tmp_path)
    editor = Editor(disk, 1, 512, tmp_path / "log")
    at = PARTITION_AT + editor.blocks(path)[-1] * editor.block_size
    with disk.open("r+b") as image:
        image.seek(at)
        byte = image.read(1)
        image.seek(at)
        image.write(bytes([byte[0] ^ 1]))
    assert changed(disk, dump, tmp_path) == {path}


def test_a_file_that_is_gone_or_shorter_is_seen(tmp_path):
    disk, dump = used(tmp_path)
    debugfs(disk, "rm /known/notes.txt", "set_inode_field /known/large.bin size 9")
    assert changed(disk, dump, tmp_path) == {"/known/notes.txt", "/known/large.bin"}


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_e2fsck_repairs_a_damage_and_nothing_is_lost(tmp_path, layout, kind):
    disk, dump = used(tmp_path, layout, damage=[kind])
    done = e2fsck(disk, "-y")
    repaired = done.returncode in (1, 2) or "recovering journal" in done.stdout
    assert repaired, done.stdout + done.stderr
    assert changed(disk, dump, tmp_path) == set()
    assert e2fsck(disk, "-f", "-n").returncode == 0


def test_without_the_journal_a_directory_and_a_file_are_lost(tmp_path):
    disk, dump = used(tmp_path, damage=["journal"])
    assert changed(disk, dump, tmp_path) == {f"{content.JOURNALED}/page.bin"}


@pytest.mark.parametrize("layout", KINDS)
def test_without_superblocks_e2fsck_gives_up_and_no_file_can_be_read(tmp_path, layout):
    disk, dump = used(tmp_path, layout, damage=["superblocks"])
    assert e2fsck(disk, "-y").returncode >= 4
    assert len(changed(disk, dump, tmp_path)) == len(content.FILES)


def test_an_older_dump_is_not_taken_for_the_new_one(tmp_path):
    disk, _ = used(tmp_path, older_dumps=2)
    earlier = ext_files(files(tmp_path).older_dumps)
    assert collect_file(disk, 1, tmp_path, NoProgress()).size is not None
    collected = collect_file(disk, 1, tmp_path, NoProgress(), earlier=earlier)
    assert collected.size is None
    assert "no new file dump.N" in collected.note
    debugfs(disk, "rm /dump.1")
    (tmp_path / "dump").unlink()
    add(disk, "dump.1", b"a new dump with an old name", 2_000_000_000)
    assert collect_file(disk, 1, tmp_path, NoProgress(), earlier=earlier).size == 27


def test_nothing_is_done_to_a_disk_without_known_files(tmp_path):
    disk = make_disk(tmp_path, "ext4")
    before = disk.read_bytes()
    prepare.prepare(disk, Dump(layout="ext4"), tmp_path)
    prepare.look_again(disk, Dump(layout="ext4"), tmp_path)
    assert disk.read_bytes() == before
    assert KnownFiles.load(tmp_path) is None


@pytest.mark.parametrize(("neighbour", "number"), [("before", 2), ("after", 1)])
def test_a_file_system_beside_the_dump_has_its_files(tmp_path, neighbour, number):
    fields = {"files": 1, "beside": neighbour, "partition": number, "table": "gpt"}
    dump = Dump.model_validate(fields)
    disk = tmp_path / "disk.img"
    with disk.open("xb") as file:
        file.truncate(64 << 20)
    dump.place.write(disk, 512, Tools(tmp_path / "log", "a disk"))
    prepare.prepare(disk, dump, tmp_path)
    assert changed(disk, dump, tmp_path) == set()
    with disk.open("r+b") as file:  # as a tool would that takes the disk for its partition
        file.seek(dump.place.start)
        file.write(bytes(dump.place.size(64 << 20)))
    assert changed(disk, dump, tmp_path) == set()
    with disk.open("r+b") as file:
        file.write(bytes(64 << 20))
    assert len(changed(disk, dump, tmp_path)) == len(content.FILES)
