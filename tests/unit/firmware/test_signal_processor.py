from __future__ import annotations

import pytest

from harness.firmware.signal_processor import Signalled, StoppedCpus
from harness.s390x.sigp import Order
from harness.s390x.storestatus import additional_status_area, status_area
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage

PAGE = 4096
CPUS = tuple(make_cpu(number) for number in range(3))


@pytest.fixture
def storage():
    return FakeStorage(bytes(4 * PAGE))


@pytest.fixture
def others(storage):
    return StoppedCpus(storage, CPUS, ipl_cpu=0)


def test_store_status_writes_the_crashed_registers(others, storage):
    assert others.signal(Order.STORE_STATUS_AT_ADDRESS, 2, PAGE) == Signalled(cc=0)
    assert storage.read(PAGE, 512) == status_area(CPUS[2])
    assert others.stored == {2}


def test_additional_status_writes_the_vector_registers(others, storage):
    played = others.signal(Order.STORE_ADDITIONAL_STATUS_AT_ADDRESS, 1, 2 * PAGE)
    assert played == Signalled(cc=0)
    assert storage.read(2 * PAGE, 512) == additional_status_area(CPUS[1])


@pytest.mark.parametrize("address", [PAGE + 4, 4 * PAGE])
def test_a_bad_address_stores_nothing(others, storage, address):
    played = others.signal(Order.STORE_STATUS_AT_ADDRESS, 1, address)
    assert played == Signalled(cc=1, status=0x100)
    assert not storage.writes


def test_sense_tells_stopped_and_not_operational_cpus_apart(others):
    assert others.signal(Order.SENSE, 1, 0) == Signalled(cc=1, status=0x40)
    assert others.signal(Order.SENSE, 3, 0) == Signalled(cc=3)
    assert others.signal(Order.STORE_STATUS_AT_ADDRESS, 3, PAGE) == Signalled(cc=3)


def test_the_ipl_cpu_is_qemus(others):
    assert others.signal(Order.SENSE, 0, 0) is None


def test_after_an_order_that_changes_a_cpu_qemu_handles_sigp(others):
    assert others.signal(0x16, 1, 0) is None  # SET MULTITHREADING
    assert not others.taken_over
    assert others.signal(Order.RESTART, 1, 0) is None
    assert others.taken_over


def test_status_area_offsets():
    """Principles of Operation, store status: each field on its own, as read by Linux."""
    cpu = CPUS[1]
    area = status_area(cpu)

    def field(offset: int, size: int) -> int:
        return int.from_bytes(area[offset : offset + size], "big")

    assert field(0x00, 8) == cpu.fprs[0]
    assert field(0xF8, 8) == cpu.gprs[15]
    assert (field(0x100, 8), field(0x108, 8)) == (cpu.psw_mask, cpu.psw_addr)
    assert field(0x118, 4) == cpu.prefix
    assert field(0x11C, 4) == cpu.fpc
    assert field(0x124, 4) == cpu.tod_programmable
    assert field(0x128, 8) == cpu.cpu_timer
    assert field(0x130, 1) == 0
    assert field(0x131, 7) == cpu.clock_comparator >> 8
    assert field(0x13C + 4, 4) == cpu.acrs[0]
    assert field(0x1F8, 8) == cpu.crs[15]
