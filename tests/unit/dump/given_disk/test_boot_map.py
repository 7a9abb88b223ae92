"""What the boot map of a disk tells, and what is said of a damaged one."""

from __future__ import annotations

import struct

import pytest

from harness.dump.byte_source import File
from harness.dump.given_disk.boot_map import Extent, read_boot_map
from harness.errors import EvidenceError
from tests.support.disks.boot_map import (
    COMPONENTS,
    DATA,
    KERNEL,
    PARAMETERS,
    PROGRAMS,
    SEGMENTS,
    add_boot_map,
    pointer,
)

WORDS = "root=/dev/ram0 dump_part=3 dump_dir=/x"


@pytest.fixture(params=[512, 4096])
def sector(request):
    return request.param


@pytest.fixture
def disk(tmp_path, sector):
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(1 << 20)
    add_boot_map(path, WORDS, sector=sector)
    return path


def read(path, sector):
    with File.open(path) as file:
        return read_boot_map(file, sector)


def change(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_kernel_and_parmline_are_found(disk, sector):
    found = read(disk, sector)
    assert found.parmline == WORDS
    kernel = next(item for item in found.components if item.address == KERNEL)
    assert kernel.pieces == (Extent(DATA * sector, 2 * sector),)


def test_a_parmline_without_stage_3_is_in_the_kernels_area(disk, sector):
    entry = COMPONENTS * sector + 2 * 32 + 24
    change(disk, entry, struct.pack(">Q", 0x20000))
    change(disk, entry + 32, struct.pack(">Q", 0x10480))
    assert read(disk, sector).parmline == WORDS


def test_without_a_parmline_there_is_none(disk, sector):
    change(disk, (DATA + 2) * sector, struct.pack(">Q", 0x5000))
    assert read(disk, sector).parmline is None


def test_a_segment_table_goes_on_in_another_block(disk, sector):
    here, more = SEGMENTS * sector, 60
    full = pointer(DATA, size=sector) * (sector // 16 - 1) + pointer(more, size=sector)
    change(disk, here, full)
    change(disk, more * sector, pointer(DATA + 1, size=sector))
    kernel = next(item for item in read(disk, sector).components if item.address == KERNEL)
    assert len(kernel.pieces) == sector // 16
    assert kernel.pieces[-1] == Extent((DATA + 1) * sector, sector)


@pytest.mark.parametrize(
    ("block", "offset", "data", "said"),
    [
        (0, 0, b"LIPz", "no zIPL boot record in block 0"),
        (0, 0x10, struct.pack(">Q", 1 << 60), "the program table would be in block 1152921504606"),
        (0, 0x10, struct.pack(">Q", 0), "the program table would be in block 0"),
        (PROGRAMS, 0, b"x", f"no program table in block {PROGRAMS}: 78 49 50 4c"),
        (PROGRAMS, 16, struct.pack(">Q", 19), "no component table in block 19"),
        (COMPONENTS, 32 + 23, b"\0" * 9 + b"\0" * 32 * 3, "the component table has no entry point"),
        (COMPONENTS, 32, struct.pack(">Q", 1 << 40), "the segment table would be in block 109951"),
        (SEGMENTS, 0, pointer(DATA, 65000), "65000 blocks at 40 are to be loaded, behind the end"),
    ],
)
def test_a_damaged_boot_map_is_told(disk, sector, block, offset, data, said):
    change(disk, block * sector + offset, data)
    with pytest.raises(EvidenceError) as error:
        read(disk, sector)
    assert said in error.value.message
    assert error.value.message.startswith(str(disk))


def test_a_segment_table_that_leads_to_itself_has_no_end(disk, sector):
    change(disk, SEGMENTS * sector, pointer(DATA, size=sector) * (sector // 16 - 1))
    change(disk, (SEGMENTS + 1) * sector - 16, pointer(SEGMENTS, size=sector))
    with pytest.raises(EvidenceError, match=f"segment table in block {SEGMENTS} has no end"):
        read(disk, sector)


def test_a_truncated_disk_is_told(disk, sector):
    with disk.open("r+b") as file:
        file.truncate(DATA * sector)
    with pytest.raises(EvidenceError, match="behind the end of the disk"):
        read(disk, sector)


def test_the_address_of_the_parameters_is_that_of_stage_3():
    assert PARAMETERS == 0x9000  # s390-tools zipl/include/boot.h, STAGE3_PARAMS_ADDRESS
