"""Damage a file system as crashes and bad disks do; e2fsck must repair it, or refuse.

Structures: Linux fs/ext4/ext4.h and the manual page of debugfs.
"""

from __future__ import annotations

from collections.abc import Collection

from harness.dump.disk.c_disk import EXT_SUPER_AT, EXT_SUPER_MAGIC, c_disk
from harness.run.used_disk.content import JOURNALED, TOUCHED
from harness.run.used_disk.editor import Editor
from harness.scenario.used_disk import Damage

_LOST = 64  # blocks
_MARKED_DIRTY = {Damage.LOST_BLOCKS, Damage.FREE_BLOCKS, Damage.WRONG_COUNTS}


def damage(editor: Editor, kinds: Collection[Damage]) -> None:
    """Damage the file system, which has the known files; superblocks come last."""
    requests: list[str] = []
    if Damage.LOST_BLOCKS in kinds:
        free = editor.ask(f"ffb {_LOST}").partition(":")[2].split()
        requests += [f"setb {block}" for block in free]
    if Damage.FREE_BLOCKS in kinds:
        requests += [f"freeb {block}" for block in editor.blocks(TOUCHED)]
    if Damage.WRONG_COUNTS in kinds:
        requests += [
            f"set_inode_field {TOUCHED} links_count 7",
            "set_super_value free_blocks_count 1",
            "set_super_value free_inodes_count 2",
        ]
    if _MARKED_DIRTY & set(kinds):
        requests.append("dirty")  # e2fsck looks no further if it is marked clean
    if requests:
        editor.change(requests)
    if Damage.JOURNAL in kinds:
        _move_to_journal(editor)
    if Damage.SUPERBLOCKS in kinds:
        _erase_superblocks(editor, primary_only=False)
    elif Damage.PRIMARY_SUPERBLOCK in kinds:
        _erase_superblocks(editor, primary_only=True)


def _move_to_journal(editor: Editor) -> None:
    """A committed transaction that never reached its place: blocks of a directory and a file."""
    blocks = [*editor.blocks(JOURNALED), *editor.blocks(f"{JOURNALED}/page.bin")]
    size = editor.block_size
    with editor.scratch() as directory, editor.disk.open("r+b") as disk:
        content = b""
        for block in blocks:
            disk.seek(editor.start + block * size)
            content += disk.read(size)
        (directory / "blocks").write_bytes(content)
        numbers = ",".join(map(str, blocks))
        editor.change(["jo", f"jw -b {numbers} {directory.name}/blocks", "jc"])
        for block in blocks:
            disk.seek(editor.start + block * size)
            disk.write(bytes(size))


def _erase_superblocks(editor: Editor, *, primary_only: bool) -> None:
    size = len(c_disk.ext4_super_block)
    with editor.disk.open("r+b") as disk:
        disk.seek(editor.start + EXT_SUPER_AT)
        primary = c_disk.ext4_super_block(disk.read(size))
        block = 1024 << primary.s_log_block_size
        group = primary.s_blocks_per_group * block
        first = primary.s_first_data_block * block
        end = primary.s_blocks_count_lo * block
        copies = [] if primary_only else [first + at for at in range(group, end - first, group)]
        for at in (EXT_SUPER_AT, *copies):  # a copy is at the start of its group
            disk.seek(editor.start + at)
            if c_disk.ext4_super_block(disk.read(size)).s_magic == EXT_SUPER_MAGIC:
                disk.seek(editor.start + at)
                disk.write(bytes(size))
