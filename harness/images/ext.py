"""Make ext file systems within disk images, with e2fsprogs of this host."""

from __future__ import annotations

from pathlib import Path

from harness.images.command import Tools
from harness.s390x.disk_layout import DiskLayout
from harness.s390x.zipl import BLOCK_SIZE

# the same disk for the same inputs
UUID = "7a686172-6e65-7373-2064-756d70206469"
TIME = "1"  # seconds since 1970; 0 would mean the current time (lib/ext2fs, fs->now)
FIXED = {"E2FSPROGS_FAKE_TIME": TIME}


def make_file_system(
    disk: Path, layout: DiskLayout, start: int, size: int, sector_size: int, tools: Tools
) -> None:
    """Make a file system of ``size`` bytes at byte ``start`` of an image; raises BuildError."""
    options = (
        f"offset={start}",
        "root_owner=0:0",
        f"hash_seed={UUID}",
        "lazy_itable_init=0",  # otherwise the dump kernel would write the tables during the dump
        "lazy_journal_init=1",  # a new image is all zeros anyway
    )
    # mke2fs takes an image for a disk with sectors of 512 bytes; a block is one or more sectors
    block = () if sector_size == BLOCK_SIZE else ("-b", str(sector_size))
    tools.run(
        [
            "mke2fs",
            *("-q", "-F"),
            *("-t", str(layout)),
            *("-m", "0"),  # no blocks are reserved for root: the dump may use all
            *("-U", UUID),
            *block,
            *("-E", ",".join(options)),
            str(disk),
            f"{size // 1024}k",
        ]
    )
