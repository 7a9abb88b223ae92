"""The byte that makes QEMU's boot firmware load a dump disk, and how it is found."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harness.errors import NotLoaded
from harness.machine.dump_load.boot_disk import BootDisk
from harness.s390x.ipl import LoadParameters
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import BLOCK_SIZE, COMPONENT_DUMP, COMPONENT_IPL, MAGIC, SECTOR_SIZES

PROGRAMS, IPL, DUMP, FOREIGN, ANOTHER = 5, 7, 8, 9, 11  # blocks
POINTER = len(c_zipl.scsi_blockptr)


def last(sector: int) -> int:
    """The last program that the table has room for."""
    return sector // POINTER - 1


def pointer(block: int, sector: int) -> bytes:
    """To one block (s390-tools include/boot/s390.h)."""
    return bytes(c_zipl.scsi_blockptr(blockno=block, size=sector, blockct=0).dumps())


def write_disk(
    path: Path, programs: dict[int, int], *, mbr: bytes = MAGIC, sector: int = BLOCK_SIZE
) -> Path:
    """zipl's boot record, and the program table: number of the program -> block."""
    content = bytearray(16 * sector)
    record = c_zipl.scsi_mbr(bytes(len(c_zipl.scsi_mbr)))
    record.magic = mbr
    record.program_table_pointer.blockno = PROGRAMS
    content[: len(c_zipl.scsi_mbr)] = record.dumps()
    table = PROGRAMS * sector
    content[table : table + 4] = MAGIC
    for number, block in programs.items():
        at = table + number * POINTER
        content[at : at + POINTER] = pointer(block, sector)
    for block, magic, kind in (
        (IPL, MAGIC, COMPONENT_IPL),
        (DUMP, MAGIC, COMPONENT_DUMP),
        (ANOTHER, MAGIC, COMPONENT_DUMP),
        (FOREIGN, b"else", COMPONENT_DUMP),
    ):
        struct.pack_into("4sB", content, block * sector, magic, kind)
    path.write_bytes(content)
    return path


def changes(one: bytes, other: bytes) -> dict[int, tuple[int, int]]:
    """Offset -> byte before and after."""
    assert len(one) == len(other)
    return {at: (a, b) for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b}


@pytest.mark.parametrize("sector", SECTOR_SIZES)
def test_dump_tables_are_shown_as_ipl_and_nothing_else_changes(tmp_path: Path, sector: int):
    programs = {1: IPL, 2: DUMP, 3: FOREIGN, last(sector): ANOTHER}
    path = write_disk(tmp_path / "disk.img", programs, sector=sector)
    written = path.read_bytes()
    disk = BootDisk(path, sector)
    assert path.read_bytes() == written, "it is only looked at"
    for _ in range(2):
        disk.show_as_ipl()
        assert changes(written, path.read_bytes()) == {
            block * sector + 4: (COMPONENT_DUMP, COMPONENT_IPL) for block in (DUMP, ANOTHER)
        }
    disk.show_as_written()
    assert path.read_bytes() == written


def test_a_disk_that_dumps_nothing_stays_as_it_is(tmp_path: Path):
    path = write_disk(tmp_path / "disk.img", {1: IPL})
    written = path.read_bytes()
    disk = BootDisk(path)
    disk.show_as_ipl()
    disk.show_as_written()
    assert path.read_bytes() == written


def test_a_disk_without_boot_records_is_refused(tmp_path: Path):
    path = write_disk(tmp_path / "disk.img", {1: DUMP}, mbr=b"GRUB")
    with pytest.raises(NotLoaded, match=r"disk\.img: no zIPL boot record in block 0"):
        BootDisk(path)
    path = write_disk(tmp_path / "disk.img", {1: DUMP})
    with path.open("r+b") as file:
        file.seek(PROGRAMS * BLOCK_SIZE)
        file.write(b"gone")
    with pytest.raises(NotLoaded, match="points to no program table"):
        BootDisk(path)


def test_the_asked_boot_record_is_in_block_0_while_the_firmware_reads(tmp_path: Path):
    disk = write_disk(tmp_path / "disk", {1: DUMP})
    content = bytearray(disk.read_bytes())
    record = content[:BLOCK_SIZE]
    content[2 * BLOCK_SIZE : 3 * BLOCK_SIZE] = record
    content[:BLOCK_SIZE] = bytes(BLOCK_SIZE)
    disk.write_bytes(content)
    boot = BootDisk(disk, parameters=LoadParameters(br_lba=2))
    boot.show_as_ipl()
    assert disk.read_bytes()[:BLOCK_SIZE] == record
    boot.show_as_written()
    assert disk.read_bytes() == content


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (LoadParameters(br_lba=3), "no zIPL boot record in block 3"),
        (LoadParameters(br_lba=(1 << 64) - 1), "no zIPL boot record in block 18446744073709551615"),
        (LoadParameters(bootprog=1), "no boot program 1: the program table has 0, 4"),
        (LoadParameters(bootprog=0xFFFFFFFF), "no boot program 4294967295"),
    ],
)
def test_a_disk_without_what_is_asked_for_is_not_loaded(
    tmp_path: Path, parameters: LoadParameters, why: str
):
    disk = write_disk(tmp_path / "disk", {1: DUMP, 5: ANOTHER})
    with pytest.raises(NotLoaded) as refused:
        BootDisk(disk, parameters=parameters)
    assert why in refused.value.message
    BootDisk(disk, parameters=LoadParameters(bootprog=4))
