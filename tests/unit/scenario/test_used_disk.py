"""What a scenario may say of a used dump disk, and of the operator."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.images.partitions import Neighbour
from harness.scenario.model import Dump
from harness.scenario.used_disk import parse_answer

XFS = {"layout": "xfs", "config": ["CONFIG_XFS_FS=y"]}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"files": 1}, "layout partition has no file system"),
        ({"layout": "ext4", "older_dumps": 1}, "older_dumps: needs dump.files"),
        ({"layout": "ext4", "damage": ["journal"]}, "damage: needs dump.files"),
        ({"layout": "ext2", "files": 1, "damage": ["journal"]}, "ext2 has no journal"),
        ({"disk": "/d", "files": 1}, "files: the dump disk is given"),
        ({"beside": "after"}, "beside: needs dump.files"),
        ({"beside": "after", "files": 1, "layout": "ext4"}, "ext4 is a file system itself"),
        ({"beside": "before", "files": 1}, "no partition is before the first one"),
        ({"beside": "after", "files": 1, "partition": 4}, "after number 4 of a dos table"),
        ({"beside": "after", "files": 1, "partition": 15, "table": "gpt"}, "after number 15"),
        ({"beside": "after", "files": 1, "older_dumps": 1}, "no dump goes to the file system"),
        ({"layout": "xfs"}, "the dump kernel needs xfs: add CONFIG_XFS_FS=y to config"),
        ({"layout": "btrfs", "config": ["CONFIG_XFS_FS=y"]}, "add CONFIG_BTRFS_FS=y to config"),
        ({**XFS, "files": 1}, "files: nothing can be put on xfs before the dump"),
        ({**XFS, "beside": "before", "files": 1}, "xfs is a file system itself"),
        ({**XFS, "partition": 4}, "the boot files need one, too: no such partition is after"),
        ({**XFS, "sector_size": 4096}, "has one partition"),
        ({"console": ["yes"]}, "is not of the form 'REGEX => TEXT'"),
        ({"console": [" => yes"]}, "is not of the form"),
        ({"console": ["( => yes"]}, "is no regular expression"),
        ({"console": ["x => a\nb"]}, "cannot be typed"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, why):
    with pytest.raises(ValidationError, match=why):
        Dump.model_validate(fields)


def test_the_boot_files_of_xfs_are_on_the_next_partition():
    place = Dump.model_validate({**XFS, "partition": 2}).place
    assert (place.neighbour, place.neighbour_number) == (Neighbour.AFTER, 3)
    assert Dump.model_validate({"layout": "xfs", "kernel": "mine"}).config == ()


def test_an_answer_is_a_pattern_and_what_is_typed():
    assert parse_answer("Delete .* => it\\? => yes") == ("Delete .* => it\\?", "yes")
    assert parse_answer("Press Enter => ") == ("Press Enter", "")
