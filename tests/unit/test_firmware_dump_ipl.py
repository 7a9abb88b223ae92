from __future__ import annotations

import pytest

from harness.firmware.dump_ipl import DumpIpl, DumpIplState
from harness.firmware.hsa import Hsa
from harness.s390x.ipl import FcpDevice, ReturnCode, Subcode, fcp_block
from tests.unit.conftest import make_cpu
from tests.unit.memory import FakeStorage

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
    return DumpIpl(storage, hsa, BLOCK)


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
    assert ipl.diag308(Subcode.STORE, PAGE).rc is ReturnCode.OK
    assert storage.read(PAGE, len(BLOCK)) == BLOCK


@pytest.mark.parametrize("address", [PAGE + 8, 8 * PAGE, 1 << 50])
def test_store_to_a_bad_address_is_invalid(ipl, storage, address):
    assert ipl.diag308(Subcode.STORE, address).rc is ReturnCode.INVALID
    assert not storage.writes


def test_set_replaces_the_block(ipl, storage):
    other = fcp_block(FcpDevice(0x4711, 0, 0), dump=False)
    storage.write(2 * PAGE, other)
    assert ipl.diag308(Subcode.SET, 2 * PAGE).rc is ReturnCode.OK
    assert ipl.ipl_block == other
    storage.write(2 * PAGE, bytes(4))
    assert ipl.diag308(Subcode.SET, 2 * PAGE).rc is ReturnCode.INVALID
    assert ipl.ipl_block == other


def test_release_is_for_good(ipl, hsa):
    assert ipl.diag308(Subcode.REL_HSA, 0).rc is ReturnCode.OK
    assert hsa.released
    assert ipl.state is DumpIplState.HSA_RELEASED
    assert ipl.diag308(Subcode.REL_HSA, 0).rc is ReturnCode.OK
    assert ipl.diag308(Subcode.STORE, 0).rc is ReturnCode.OK
    assert ipl.state is DumpIplState.HSA_RELEASED


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("released", [False, True])
def test_every_load_is_a_re_ipl(ipl, load, released):
    if released:
        ipl.diag308(Subcode.REL_HSA, 0)
    ipl.diag308(load, 0)
    assert ipl.state is DumpIplState.RE_IPL
    assert ipl.diag308(Subcode.STORE, 0).rc is None, "nothing is played for a system that has gone"


@pytest.mark.parametrize("subcode", [Subcode.CLEAR_RESET, Subcode.LOAD_NORMAL_RESET, 8, 0x10001])
def test_resets_and_unknown_subcodes_are_qemus(ipl, subcode):
    assert ipl.diag308(subcode, 0).rc is None
    assert ipl.state is DumpIplState.HSA_HELD
