from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import DUMP_SB_CSUM_SEED, DUMP_SB_SIZE, cksm

WORDS = st.binary(max_size=4096).map(lambda data: data[: len(data) & ~3])


def end_around_carry(data: bytes, seed: int) -> int:
    """CKSM one word at a time, as the instruction is defined."""
    total = seed
    for (word,) in struct.iter_unpack(">I", data):
        total += word
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


@given(WORDS)
def test_checksum_is_repeated_end_around_carry(data: bytes):
    assert cksm(data) == end_around_carry(data, DUMP_SB_CSUM_SEED)


def test_checksum_of_zeros_is_the_seed():
    assert cksm(bytes(4096)) == 0x12345678


def test_carry_goes_round():
    assert cksm(b"\xff\xff\xff\xff", seed=1) == 1
    assert cksm(b"\xff\xff\xff\xfe", seed=1) == 0xFFFFFFFF


def test_checksum_wants_whole_words():
    with pytest.raises(ValueError, match="not 5 bytes"):
        cksm(b"12345")


def test_layouts_have_the_sizes_on_disk():
    assert DUMP_SB_SIZE == 72
    assert len(c_zipl.scsi_blockptr) == 16
    assert len(c_zipl.component_header) == 32


def test_boot_info_lies_where_the_firmware_looks():
    raw = bytearray(len(c_zipl.scsi_mbr))
    raw[0x70:0x78] = b"zIPL\x01\x01\x02\x01"
    struct.pack_into(">Q", raw, 0x78, 0x1234567)
    mbr = c_zipl.scsi_mbr(bytes(raw))
    assert mbr.boot_info_magic == b"zIPL"
    assert (mbr.bp_type, mbr.dev_type, mbr.sb_off) == (1, 2, 0x1234567)


@given(st.binary(min_size=72, max_size=72))
def test_superblock_bytes_come_back(data: bytes):
    assert c_zipl.scsi_dump_sb(data).dumps() == data
