"""Which partitions a disk has, in sectors of 512 and of 4096 bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.byte_source import File
from harness.dump.disk.partition import Kind, Partition, Table, TableKind
from harness.dump.disk.partition_table import partition_at, partition_numbered, read_table
from harness.errors import EvidenceError
from tests.support.disks.ext import make_file_system
from tests.support.disks.tables import (
    EXTENDED,
    LINUX,
    PROTECTIVE,
    chain,
    dos_sector,
    empty,
    fdisk,
    gpt_disk,
    gpt_parts,
    write_at,
)

MIB = 1 << 20
SIZE = 64 * MIB
SECTORS = pytest.mark.parametrize("sector", [512, 4096])
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def table_of(disk: Path, sector_size: int | None = None) -> Table:
    with File.open(disk) as content:
        table = read_table(content, sector_size)
    assert table is not None
    return table


def refusal(disk: Path, sector_size: int | None = None) -> str:
    with pytest.raises(EvidenceError) as caught, File.open(disk) as content:
        read_table(content, sector_size)
    assert "\n" not in caught.value.message
    return caught.value.message


def places(table: Table, sector: int) -> list[tuple[int, int, int]]:
    return [(each.number, each.start // sector, each.size // sector) for each in table.partitions]


# --- as the tools that people use make them ----------------------------------------------------

LOGICAL = "o\nn\np\n1\n\n+5M\nn\ne\n2\n\n\n" + "n\n\n+5M\n" * 4 + "w\n"
FOUR = "o\n" + "n\np\n\n\n+5M\n" * 3 + "n\np\n\n\nw\n"
GPT = "g\nn\n1\n\n+5M\nn\n3\n\n+5M\nn\n17\n\n+5M\nw\n"


@SECTORS
@pytest.mark.parametrize(
    ("script", "numbers"),
    [(LOGICAL, [1, 2, 5, 6, 7, 8]), (GPT, [1, 3, 17])],
    ids=["logical", "GPT"],
)
def test_fdisk_lists_the_same(tmp_path: Path, sector: int, script: str, numbers: list[int]):
    disk = empty(tmp_path / "disk", SIZE)
    listed = fdisk(disk, sector, script)
    assert [number for number, _, _ in listed] == numbers
    table = table_of(disk)
    assert table.sector_size == sector
    assert places(table, sector) == listed
    assert not table.notes
    assert table.kind is (TableKind.GPT if script is GPT else TableKind.DOS)


@SECTORS
def test_a_file_system_tells_what_a_table_without_logical_partitions_counts_in(
    tmp_path: Path, sector: int
):
    disk = empty(tmp_path / "disk", SIZE)
    listed = fdisk(disk, sector, FOUR)
    assert "no ext file system is at its 4 partitions" in refusal(disk)
    _, start, _ = listed[2]
    make_file_system(disk, "ext4", start * sector, 5 * MIB)
    assert table_of(disk).sector_size == sector
    assert places(table_of(disk), sector) == listed


# --- DOS tables --------------------------------------------------------------------------------


@SHARED
@given(
    st.sampled_from([512, 4096]),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=20),
    st.lists(st.integers(1, 1 << 31), max_size=3),
)
def test_what_was_written_is_read(
    tmp_path: Path, sector: int, logical: list[tuple[int, int]], primary: list[int]
):
    """``logical`` are gaps and sizes."""
    disk = empty(tmp_path / "disk", 16 * MIB)
    at, tables = 0, []
    for gap, length in logical:
        tables.append((at, length))
        at += 1 + length + gap
    entries = [(LINUX, 8 + number, size) for number, size in enumerate(primary)]
    if tables:
        entries.append((EXTENDED, 64, at))
    write_at(disk, 0, dos_sector(*entries))
    chain(disk, sector, 64, at, tables)
    with File.open(disk) as content:
        table = read_table(content, sector)
    found = places(table, sector) if table else []
    whole = [(number, start, size) for number, (_, start, size) in enumerate(entries, 1)]
    parts = [(5 + number, 65 + at, length) for number, (at, length) in enumerate(tables)]
    assert found == whole + parts


def extended(disk: Path, *first: tuple[int, int, int], size: int = 1000) -> Path:
    """A disk whose partition 2 is extended; its first table has these entries."""
    empty(disk, SIZE)
    write_at(disk, 0, dos_sector((LINUX, 8, 8), (EXTENDED, 64, size)))
    write_at(disk, 64 * 512, dos_sector(*first))
    return disk


def test_a_chain_that_comes_back_ends_there(tmp_path: Path):
    disk = extended(tmp_path / "disk", (LINUX, 1, 5), (EXTENDED, 10, 6))
    write_at(disk, 74 * 512, dos_sector((LINUX, 1, 5), (EXTENDED, 0, 6)))
    table = table_of(disk)
    assert [each.name for each in table.partitions] == ["sda1", "sda2", "sda5", "sda6"]
    assert table.notes == ("the chain of logical partitions in sda2 comes back to 0x8000",)


BROKEN = {
    "off the disk": ((EXTENDED, 1 << 30, 5), "leaves the disk: 0x8000008000 is behind its end"),
    "no table": ((EXTENDED, 20, 5), "ends at 0xa800, where no table is"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_chain_that_leads_nowhere_keeps_what_was_found(tmp_path: Path, name: str):
    link, note = BROKEN[name]
    table = table_of(extended(tmp_path / "disk", (LINUX, 1, 5), link))
    assert [each.number for each in table.partitions] == [1, 2, 5]
    assert len(table.notes) == 1
    assert note in table.notes[0]


def test_slots_three_and_four_of_a_logical_table_count_if_they_are_inside(tmp_path: Path):
    disk = extended(tmp_path / "disk", (LINUX, 1, 5), (LINUX, 9, 2), (LINUX, 20, 5), (0xDB, 999, 9))
    assert places(table_of(disk), 512)[2:] == [(5, 65, 5), (6, 73, 2), (7, 84, 5)]


def test_a_second_link_is_told_and_not_followed(tmp_path: Path):
    disk = extended(tmp_path / "disk", (EXTENDED, 10, 6), (EXTENDED, 20, 6), (LINUX, 1, 5))
    write_at(disk, 74 * 512, dos_sector((LINUX, 1, 5)))
    table = table_of(disk)
    assert [each.number for each in table.partitions] == [1, 2, 5, 6]
    assert table.notes == ("the table at 0x8000 has two links, Linux takes the first",)


def test_two_extended_partitions_share_the_numbers(tmp_path: Path):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((EXTENDED, 64, 100), (0x0F, 200, 100), (0x85, 300, 100)))
    for start in (64, 200, 300):
        chain(disk, 512, start, 100, [(0, 5)])
    assert places(table_of(disk), 512)[3:] == [(5, 65, 5), (6, 201, 5), (7, 301, 5)]


def test_more_partitions_than_linux_has_numbers_for(tmp_path: Path):
    disk = extended(tmp_path / "disk", size=4000)
    chain(disk, 512, 64, 4000, [(4 * number, 2) for number in range(400)])
    table = table_of(disk, 512)
    assert table.partitions[-1].name == "sda255"
    assert "more partitions than Linux takes of one disk, 255" in table.notes[0]


def test_the_boot_sector_of_a_fat_file_system_is_no_table(tmp_path: Path):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((LINUX, 8, 8), boot=0x20))
    with File.open(disk) as content:
        assert read_table(content) is None


def test_what_is_behind_the_end_of_the_disk_is_left_out(tmp_path: Path):
    disk = empty(tmp_path / "disk", 100 * 512)
    write_at(disk, 0, dos_sector((LINUX, 8, 8), (LINUX, 90, 90), (LINUX, 200, 8)))
    with File.open(disk) as content:
        assert partition_numbered(content, 2, 512) == Partition(2, 90 * 512, 10 * 512)
        with pytest.raises(EvidenceError, match="begins behind the end of the disk: partition 3"):
            partition_numbered(content, 3, 512)


def test_partitions_that_have_no_file_system_are_named(tmp_path: Path):
    disk = extended(tmp_path / "disk", (LINUX, 1, 5))
    with File.open(disk) as content:
        assert partition_numbered(content, 5) == Partition(5, 65 * 512, 5 * 512, Kind.LOGICAL)
        with pytest.raises(EvidenceError, match="only holds logical ones: partition 2"):
            partition_numbered(content, 2)
        with pytest.raises(EvidenceError, match=r"no partition 6 \(its DOS .* sda1, sda2, sda5\)"):
            partition_numbered(content, 6)


# --- which size of a sector --------------------------------------------------------------------


def with_both(disk: Path) -> Path:
    """Partition 1 has a file system at both of its places."""
    empty(disk, SIZE)
    write_at(disk, 0, dos_sector((LINUX, 256, 4096)))
    make_file_system(disk, "ext2", 256 * 4096, 16 * MIB)
    make_file_system(disk, "ext2", 256 * 512, 512 << 10)
    return disk


def test_two_sizes_that_fit_are_told_not_guessed(tmp_path: Path):
    disk = with_both(tmp_path / "disk")
    what = "sda1 begins with an ext file system"
    assert refusal(disk) == (
        f"{disk}: its partition table fits in more than one way: counted in 512 bytes, {what}; "
        f"in 4096 bytes, {what} (--sector-size decides which)"
    )
    for sector in (512, 4096):
        assert places(table_of(disk, sector), sector) == [(1, 256, 4096)]


def test_no_size_that_fits_is_told_and_can_be_forced(tmp_path: Path):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((LINUX, 256, 4096)))
    message = refusal(disk)
    assert "counted in 512 or 4096 bytes (--sector-size decides which)" in message
    assert table_of(disk, 4096).partitions == (Partition(1, 256 * 4096, 4096 * 4096),)


@pytest.mark.parametrize("field", [(90, 1), (24, 60), (4, 1 << 30)], ids=["copy", "shift", "large"])
def test_what_only_looks_like_a_file_system_is_no_evidence(tmp_path: Path, field: tuple[int, int]):
    """A copy of a superblock, one that makes no sense, one of a file system that does not fit."""
    disk = with_both(tmp_path / "disk")
    at, value = field
    form = "<H" if at == 90 else "<I"
    write_at(disk, 256 * 512 + 1024 + at, struct.pack(form, value))
    assert table_of(disk).sector_size == 4096


@SECTORS
def test_zipls_program_table_is_evidence(tmp_path: Path, sector: int):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((LINUX, 256, 4096)))
    write_at(disk, 0, b"zIPL")
    write_at(disk, 0x10, struct.pack(">Q", 300))
    write_at(disk, 300 * sector, b"zIPL")
    assert table_of(disk).sector_size == sector


# --- GPT ---------------------------------------------------------------------------------------

THREE = {1: (64, 99), 2: (100, 199), 9: (200, 299)}


def gpt_places(sector: int) -> list[tuple[int, int, int]]:
    return [(number, first, last - first + 1) for number, (first, last) in THREE.items()]


@SECTORS
@pytest.mark.parametrize("entry_size", [128, 256, 512])
def test_a_gpt_tells_its_size_of_a_sector(tmp_path: Path, sector: int, entry_size: int):
    disk = gpt_disk(tmp_path / "disk", SIZE, sector, THREE, entry_size=entry_size)
    table = table_of(disk)
    assert (table.kind, table.sector_size) == (TableKind.GPT, sector)
    assert places(table, sector) == gpt_places(sector)
    refused = f"its entries have {entry_size} bytes, Linux takes 128 only"
    assert table.notes == (() if entry_size == 128 else (refused,))


@pytest.fixture(scope="module", params=[512, 4096])
def sound(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[int, Path, dict[int, bytes]]:
    sector = request.param
    disk = gpt_disk(tmp_path_factory.mktemp("gpt") / "disk", SIZE, sector, THREE)
    return sector, disk, gpt_parts(sector, SIZE // sector - 1, THREE)


@SHARED
@given(data=st.data())
def test_a_damaged_primary_never_gives_other_partitions(sound, data: st.DataObject):
    sector, disk, parts = sound
    start = data.draw(st.sampled_from([sector, 2 * sector]))
    at = start + data.draw(st.integers(0, len(parts[start]) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    before = parts[start][at - start]
    write_at(disk, at, bytes([before ^ bit]))
    try:
        table = table_of(disk)
    finally:
        write_at(disk, at, bytes([before]))
    assert places(table, sector) == gpt_places(sector)
    assert table.notes[0].startswith("the backup at the disk's end: ")
    assert "Linux takes it with the parameter gpt only" in table.notes[0]


def damage(offset: int) -> Callable[[Path], None]:
    return lambda disk: write_at(disk, offset, b"\xff")


DAMAGES = {
    "no header": (damage(512), "no header at 0x200"),
    "size": (damage(512 + 13), "the header at 0x200 has header_size 65372"),
    "checksum": (damage(512 + 40), "the header at 0x200 has a wrong checksum"),
    "entries": (damage(1024 + 33), "the entries of the header at 0x200 have a wrong checksum"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_wrong_with_the_primary_is_told(tmp_path: Path, name: str):
    change, why = DAMAGES[name]
    disk = gpt_disk(tmp_path / "disk", SIZE, 512, THREE)
    change(disk)
    table = table_of(disk)
    assert table.notes[0].startswith(f"the backup at the disk's end: {why}; Linux takes it")
    write_at(disk, SIZE - 512, b"\0")
    message = refusal(disk)
    assert message.startswith(f"{disk}: its GPT is damaged: {why}; ")
    assert f"no header at {SIZE - 512:#x}" in message


def reshaped(disk: Path, **fields: int) -> Path:
    """A GPT whose header has other fields, and the right checksum for them."""
    at = {"my_lba": (24, "<Q"), "entry_size": (84, "<I"), "count": (80, "<I")}
    gpt_disk(disk, SIZE, 512, THREE)
    header = bytearray(gpt_parts(512, SIZE // 512 - 1, THREE)[512])
    for name, value in fields.items():
        struct.pack_into(at[name][1], header, at[name][0], value)
    header[16:20] = bytes(4)
    struct.pack_into("<I", header, 16, zlib.crc32(header))
    write_at(disk, 512, bytes(header))
    write_at(disk, SIZE - 512, bytes(8))
    return disk


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"my_lba": 2}, "the header at 0x200 is that of sector 2"),
        ({"entry_size": 100}, "the header at 0x200 has entries of 100 bytes"),
        ({"entry_size": 384}, "the header at 0x200 has entries of 384 bytes"),
        ({"entry_size": 1 << 31}, "has entries of 2147483648 bytes"),
        ({"count": 1 << 31}, "the header at 0x200 has 2147483648 entries"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, fields: dict[str, int], why: str):
    assert why in refusal(reshaped(tmp_path / "disk", **fields))


def test_a_protective_table_without_a_gpt_is_told(tmp_path: Path):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((PROTECTIVE, 1, 1000)))
    assert "its GPT is damaged: no header at 0x200; no header at 0x1000" in refusal(disk)


def test_a_gpt_behind_a_dos_table_is_not_taken(tmp_path: Path):
    """As Linux: a disk got a new table, and the old GPT is still there."""
    disk = gpt_disk(tmp_path / "disk", SIZE, 512, THREE)
    write_at(disk, 0, dos_sector((LINUX, 2048, 100)))
    assert table_of(disk, 512).kind is TableKind.DOS


@pytest.mark.parametrize(
    ("entries", "note"),
    [
        ([], "no DOS partition protects it, so Linux takes it with the parameter gpt only"),
        ([(PROTECTIVE, 1, 50), (LINUX, 64, 36)], "a hybrid: the first sector has DOS partitions"),
    ],
)
def test_a_gpt_beside_other_tables_is_told(tmp_path: Path, entries: list, note: str):
    disk = gpt_disk(tmp_path / "disk", SIZE, 512, THREE)
    write_at(disk, 0, dos_sector(*entries))
    table = table_of(disk)
    assert (table.kind, len(table.notes)) == (TableKind.GPT, 1)
    assert note in table.notes[0]


def test_two_gpts_are_told_not_guessed(tmp_path: Path):
    disk = gpt_disk(tmp_path / "disk", SIZE, 4096, THREE)
    for offset, data in gpt_parts(512, SIZE // 512 - 1, THREE, count=16).items():
        write_at(disk, offset, data)
    message = refusal(disk)
    assert "counted in 512 bytes, a GPT is there; in 4096 bytes, a GPT is there" in message
    assert table_of(disk, 4096).sector_size == 4096


def test_more_gpt_partitions_than_linux_takes(tmp_path: Path):
    many = {number: (1000 + number, 1000 + number) for number in range(1, 301)}
    table = table_of(gpt_disk(tmp_path / "disk", SIZE, 512, many, count=300))
    assert len(table.partitions) == 300
    assert table.notes == ("Linux takes its partitions up to 255 only",)


# --- by place ----------------------------------------------------------------------------------


@SECTORS
def test_a_partition_is_found_by_its_place(tmp_path: Path, sector: int):
    disk = gpt_disk(tmp_path / "disk", SIZE, sector, THREE)
    with File.open(disk) as content:
        found = partition_at(content, 100 * sector, 100 * sector)
        assert found is not None
        assert (found[0].name, found[1].sector_size) == ("sda2", sector)
        assert partition_at(content, 100 * sector, 99 * sector) is None


def test_a_place_that_two_partitions_have_names_none(tmp_path: Path):
    disk = empty(tmp_path / "disk", SIZE)
    write_at(disk, 0, dos_sector((LINUX, 256, 80), (LINUX, 2048, 640)))
    with File.open(disk) as content:
        assert partition_at(content, MIB, 640 * 512) is None
        named = partition_at(content, MIB, 640 * 512, 4096)
        assert named is not None
        assert named[0].name == "sda1"


# --- hostile -----------------------------------------------------------------------------------


@SHARED
@given(
    st.binary(max_size=64),
    st.binary(max_size=200),
    st.booleans(),
    st.sampled_from([None, 512, 4096]),
    st.integers(-1, 300),
)
def test_any_disk_has_a_table_or_is_refused(
    tmp_path: Path, entries: bytes, gpt: bytes, protective: bool, sector: int | None, number: int
):
    disk = empty(tmp_path / "disk", 8 * 4096)
    first = bytearray(512)
    first[446 : 446 + len(entries)] = entries
    first[510:] = b"\x55\xaa"
    if protective:
        first[450] = PROTECTIVE
    write_at(disk, 0, bytes(first))
    write_at(disk, 512, b"EFI PART" + gpt)
    with File.open(disk) as content:
        try:
            table = read_table(content, sector)
            found = partition_numbered(content, number, sector)
        except EvidenceError:
            return
        assert table is not None
        assert found in table.on_disk(content.size)
        assert 0 < found.size <= content.size - found.start


def walks(seed: bytes) -> Iterator[tuple[int, int, int]]:
    for at in range(0, len(seed) - 2, 3):
        kind = EXTENDED if seed[at] % 2 else LINUX
        yield kind, seed[at + 1] % 64, seed[at + 2] % 8


@SHARED
@given(st.lists(st.binary(min_size=12, max_size=12), min_size=1, max_size=64))
def test_any_chain_ends(tmp_path: Path, tables: list[bytes]):
    disk = empty(tmp_path / "disk", 128 * 512)
    write_at(disk, 0, dos_sector((EXTENDED, 16, 100)))
    for number, seed in enumerate(tables):
        write_at(disk, (16 + number) * 512, dos_sector(*walks(seed)))
    table = table_of(disk, 512)
    numbers = [each.number for each in table.partitions]
    assert numbers == [1, *range(5, 5 + len(numbers) - 1)]
    assert len(numbers) <= 252
