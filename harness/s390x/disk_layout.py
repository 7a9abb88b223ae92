"""How a dump disk is laid out."""

from __future__ import annotations

from enum import StrEnum


class DiskLayout(StrEnum):
    """``partition`` is zfcpdump 3's raw dump partition (``zipl -d``). The others are file systems:
    they contain kernel, ramdisk and parmline and receive dump files, as in zfcpdump 1 and 2.
    Those that are no ext file systems only receive dump files: the boot files are on a partition
    beside them.
    """

    PARTITION = "partition"
    EXT4 = "ext4"
    EXT3 = "ext3"
    EXT2 = "ext2"
    XFS = "xfs"
    BTRFS = "btrfs"

    @property
    def is_file_system(self) -> bool:
        return self is not DiskLayout.PARTITION

    @property
    def boots_from_beside(self) -> bool:
        """Whether the boot files are on a partition of their own.

        zipl refuses btrfs. e2fsprogs knows neither file system: only Linux makes and reads it.
        """
        return self in (DiskLayout.XFS, DiskLayout.BTRFS)

    @property
    def of_boot_files(self) -> DiskLayout:
        """The layout of the partition with the boot files."""
        return DiskLayout.EXT4 if self.boots_from_beside else self
