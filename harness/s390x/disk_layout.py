"""How a dump disk is laid out."""

from __future__ import annotations

from enum import StrEnum


class DiskLayout(StrEnum):
    """``partition`` is zfcpdump 3's raw dump partition (``zipl -d``). The others are file systems:
    they contain kernel, ramdisk and parmline and receive dump files, as in zfcpdump 1 and 2.
    """

    PARTITION = "partition"
    EXT4 = "ext4"
    EXT3 = "ext3"
    EXT2 = "ext2"

    @property
    def is_file_system(self) -> bool:
        return self is not DiskLayout.PARTITION
