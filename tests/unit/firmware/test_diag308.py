from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.firmware.diag308 import Diag308, IplState
from harness.firmware.hsa import Hsa
from harness.s390x.ipl import (
    BlockDevice,
    FcpDevice,
    ReturnCode,
    Subcode,
    block_device,
    fcp_block,
)
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage

PAGE = 4096
BLOCK = fcp_block(FcpDevice(devno=0x1234, wwpn=0x500507630300C562, lun=1 << 48), dump=True)
LOADS = [Subcode.LOAD_CLEAR, Subcode.LOAD_NORMAL, Subcode.LOAD_NORMAL_DUMP]


@pytest.fixture
def storage():
    return FakeStorage(bytes(8 * PAGE))


@pytest.fixture
def hsa():
    return Hsa(FakeStorage(bytes(8 * PAGE)), 4 * PAGE, make_cpu(0))


@pytest.fixture
def ipl(storage, hsa):
    return Diag308(storage, BLOCK, hsa)


def test_the_block_says_dump_where_the_kernel_looks():
    # offsets from the block's start, arch/s390/include/uapi/asm/ipl.h
    assert int.from_bytes(BLOCK[0:4], "big") == len(BLOCK) >= 384
    assert BLOCK[7] == 0
    assert int.from_bytes(BLOCK[8:12], "big") == len(BLOCK) - 8
    assert BLOCK[12] == 0
    assert BLOCK[8 + 320] == 0x20
    assert int.from_bytes(BLOCK[8 + 326 : 8 + 328], "big") == 0x1234
    assert int.from_bytes(BLOCK[8 + 332 : 8 + 340], "big") == 0x500507630300C562
    assert int.from_bytes(BLOCK[8 + 340 : 8 + 348], "big") == 1 << 48
    assert fcp_block(FcpDevice(1, 2, 3), dump=False)[8 + 320] == 0x10


def test_store_gives_the_block(ipl, storage):
    assert ipl.call(Subcode.STORE, PAGE).rc is ReturnCode.OK
    assert storage.read(PAGE, len(BLOCK)) == BLOCK


@pytest.mark.parametrize("subcode", [Subcode.STORE, Subcode.SET])
@pytest.mark.parametrize("address", [PAGE + 8, 7 * PAGE + 1, 8 * PAGE, 1 << 50, (1 << 64) - PAGE])
def test_a_bad_address_is_a_program_exception_of_qemus(ipl, storage, subcode, address):
    assert ipl.call(subcode, address).rc is None
    assert (storage.writes, ipl.ipl_block) == ([], BLOCK)


def test_set_replaces_the_block(ipl, storage):
    other = fcp_block(FcpDevice(0x4711, 0, 0), dump=False)
    storage.write(2 * PAGE, other)
    assert ipl.call(Subcode.SET, 2 * PAGE).rc is ReturnCode.OK
    assert ipl.ipl_block == other
    storage.write(2 * PAGE, bytes(4))
    assert ipl.call(Subcode.SET, 2 * PAGE).rc is ReturnCode.INVALID
    assert ipl.ipl_block == other


def test_a_released_hsa_stays_released(ipl, hsa):
    assert ipl.call(Subcode.REL_HSA, 0).rc is ReturnCode.OK
    assert hsa.released
    assert ipl.state is IplState.HSA_RELEASED
    assert ipl.call(Subcode.REL_HSA, 0).rc is ReturnCode.OK
    assert ipl.call(Subcode.STORE, 0).rc is ReturnCode.OK
    assert ipl.state is IplState.HSA_RELEASED


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("released", [False, True])
def test_every_load_is_a_re_ipl(ipl, load, released):
    if released:
        ipl.call(Subcode.REL_HSA, 0)
    ipl.call(load, 0)
    assert ipl.state is IplState.RE_IPL
    assert ipl.call(Subcode.STORE, 0).rc is None, "nothing is played for a system that has gone"


@pytest.mark.parametrize(
    "subcode", [Subcode.CLEAR_RESET, Subcode.LOAD_NORMAL_RESET, 8, 0x10001, 1 << 63 | Subcode.STORE]
)
def test_resets_and_unknown_subcodes_are_qemus(ipl, subcode):
    assert ipl.call(subcode, 0).rc is None
    assert ipl.state is IplState.HSA_HELD


ORDINARY = fcp_block(FcpDevice(0x1234, 1, 1 << 48), dump=False)


@pytest.fixture
def loaded(storage):
    """A machine after an ordinary load."""
    return Diag308(storage, ORDINARY)


def test_an_ordinary_load_is_told_what_it_was_loaded_from(loaded, storage):
    assert loaded.state is IplState.LOADED
    assert loaded.call(Subcode.STORE, PAGE).rc is ReturnCode.OK
    assert storage.read(PAGE, len(ORDINARY)) == ORDINARY


def test_a_dump_load_needs_a_block_for_a_dump(loaded, storage):
    assert loaded.call(Subcode.LOAD_NORMAL_DUMP, 0).rc is ReturnCode.NOCONFIG
    assert loaded.state is IplState.LOADED
    storage.write(2 * PAGE, BLOCK)
    loaded.call(Subcode.SET, 2 * PAGE)
    assert loaded.call(Subcode.LOAD_NORMAL_DUMP, 0).rc is ReturnCode.OK
    assert loaded.state is IplState.DUMP_REQUESTED
    assert loaded.ipl_block == BLOCK
    assert loaded.call(Subcode.STORE, 0).rc is None


@pytest.mark.parametrize("load", [Subcode.LOAD_CLEAR, Subcode.LOAD_NORMAL])
def test_an_ordinary_load_can_be_repeated(loaded, load):
    loaded.call(load, 0)
    assert loaded.state is IplState.RE_IPL


def test_without_an_hsa_its_release_is_qemus(loaded):
    assert loaded.call(Subcode.REL_HSA, 0).rc is None
    assert loaded.state is IplState.LOADED


@given(
    devno=st.integers(0, 0xFFFF),
    wwpn=st.integers(0, (1 << 64) - 1),
    lun=st.integers(0, (1 << 64) - 1),
    dump=st.booleans(),
)
def test_blocks_are_read_as_they_were_written(devno, wwpn, lun, dump):
    device = FcpDevice(devno, wwpn, lun)
    assert block_device(fcp_block(device, dump=dump)) == BlockDevice(device, dump)


@given(st.binary(max_size=700))
def test_any_block_is_read_without_complaint(block):
    found = block_device(block)
    assert found is None or block[12] == 0


def test_other_blocks_are_not_fcp_ones():
    assert block_device(BLOCK[:12] + b"\x02" + BLOCK[13:]) is None
    assert block_device(BLOCK[:300]) is None
