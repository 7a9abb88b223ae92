"""Partition tables of dump disks: our readers and fdisk see what was asked for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from harness.dump.byte_source import File
from harness.dump.disk.partition import TableKind
from harness.dump.disk.partition_table import read_table
from harness.errors import UsageError
from harness.images.command import Tools
from harness.images.partitions import (
    MIB,
    MOST,
    NEIGHBOUR_SIZE,
    Neighbour,
    PartitionTable,
    Placement,
)

SIZE = 64 * MIB


def written(tmp_path: Path, place: Placement) -> Path:
    disk = tmp_path / "disk.img"
    with disk.open("xb") as file:
        file.truncate(SIZE)
    place.write(disk, 512, Tools(tmp_path / "log", "a disk"))
    return disk


@pytest.mark.parametrize("table", PartitionTable)
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 9, MOST])
def test_the_partition_is_where_it_should_be(tmp_path: Path, table, number):
    place = Placement(number, table)
    with File.open(written(tmp_path, place)) as disk:
        found = read_table(disk, 512)
    assert found is not None
    assert found.kind is (TableKind.GPT if table is PartitionTable.GPT else TableKind.DOS)
    assert found.notes == ()
    by_number = {each.number: each for each in found.partitions}
    assert max(by_number) == number
    assert (by_number[number].start, by_number[number].size) == (place.start, place.size(SIZE))
    assert place.beside + place.size(SIZE) == SIZE
    used = [each for each in by_number.values() if each.kind.value != "extended"]
    for one, other in pairwise(used):
        assert one.start + one.size <= other.start


@pytest.mark.parametrize(
    ("number", "table", "neighbour"),
    [
        *((n, PartitionTable.DOS, Neighbour.BEFORE) for n in (2, 4, 5, 9)),
        *((n, PartitionTable.DOS, Neighbour.AFTER) for n in (1, 3)),
        *((n, PartitionTable.GPT, Neighbour.BEFORE) for n in (2, 5, MOST)),
        *((n, PartitionTable.GPT, Neighbour.AFTER) for n in (1, 4, MOST - 1)),
    ],
)
def test_another_partition_has_room_for_a_file_system(tmp_path: Path, number, table, neighbour):
    place = Placement(number, table, neighbour)
    assert place.fault is None
    with File.open(written(tmp_path, place)) as disk:
        found = read_table(disk, 512)
    assert found is not None
    by_number = {each.number: each for each in found.partitions}
    assert (by_number[number].start, by_number[number].size) == (place.start, place.size(SIZE))
    assert by_number[place.neighbour_number].size == NEIGHBOUR_SIZE
    assert place.beside + place.size(SIZE) == SIZE
    used = sorted(
        (each.start, each.size) for each in by_number.values() if each.kind.value != "extended"
    )
    for one, other in pairwise(used):
        assert sum(one) <= other[0]


def test_the_same_table_for_the_same_place(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = (written(tmp_path / name, Placement(6, PartitionTable.GPT)) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_only_one_partition_with_large_sectors(tmp_path: Path):
    with pytest.raises(UsageError, match="can have only one partition"):
        Placement(2).write(tmp_path / "disk", 4096, Tools(tmp_path / "log", "a disk"))
