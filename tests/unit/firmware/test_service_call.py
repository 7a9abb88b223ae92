from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.firmware import service_call
from harness.firmware.hsa import Hsa
from harness.firmware.service_call import MachineReported, SdiasAnswered, ServiceCalls
from harness.s390x import sclp
from harness.s390x.layouts.c_sclp import c_sclp
from harness.s390x.sclp import SdiasQualifier, SdiasStatus
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage
from tests.support.sdias import PAGE, SCCB, TARGET, answered, put_sdias

HSA_PAGES = 4
SAVED = random.Random(2).randbytes(16 * PAGE)


def machine():
    storage = FakeStorage(bytes(16 * PAGE))
    hsa = Hsa(FakeStorage(SAVED), HSA_PAGES * PAGE, make_cpu(0))
    return storage, hsa, ServiceCalls(storage, hsa)


def test_the_quick_formats_are_those_of_the_definitions():
    marked = c_sclp.sdias_sccb(
        hdr=c_sclp.sccb_header(length=0x1122, response_code=0x3344),
        evbuf=c_sclp.sdias_evbuf(
            hdr=c_sclp.evbuf_header(type=0x55, flags=0x66),
            event_qual=0x77,
            blk_cnt=0x8899AABB,
            asa=0x0102030405060708,
            fbn=0x090A0B0C,
        ),
    ).dumps()
    assert service_call._SCCB.unpack_from(marked) == (0x1122, 0x3344, 0x55, 0x66)
    request = service_call._REQUEST.unpack_from(marked, service_call._REQUEST_OFFSET)
    assert request == (0x77, 0x8899AABB, 0x0102030405060708, 0x090A0B0C)


def test_layout_is_the_kernels():
    # drivers/s390/char/sclp_sdias.h: the fields at the offsets that a dump kernel uses
    assert sclp.SDIAS_SCCB_SIZE == 8 + 60


def test_store_data_gives_the_hsa_page():
    storage, _, calls = machine()
    put_sdias(storage, page=2)
    answer = calls.completed(SCCB)
    assert answer == SdiasAnswered(SdiasQualifier.STORE_DATA, SdiasStatus.ALL_STORED, 2, 1, 1)
    assert storage.read(TARGET, PAGE) == SAVED[2 * PAGE : 3 * PAGE]
    sccb = answered(storage)
    assert sccb.hdr.response_code == sclp.RESPONSE_EVENT_OK
    assert sccb.evbuf.hdr.flags & sclp.EVBUF_ACCEPTED
    assert sccb.evbuf.event_status == SdiasStatus.ALL_STORED


def test_size_gives_the_block_count():
    storage, hsa, calls = machine()
    put_sdias(storage, qualifier=SdiasQualifier.SIZE)
    assert isinstance(calls.completed(SCCB), SdiasAnswered)
    assert answered(storage).evbuf.blk_cnt == HSA_PAGES
    hsa.release()
    put_sdias(storage, qualifier=SdiasQualifier.SIZE)
    calls.completed(SCCB)
    assert answered(storage).evbuf.blk_cnt == 0


def test_after_a_release_there_is_no_data():
    storage, hsa, calls = machine()
    hsa.release()
    put_sdias(storage)
    answer = calls.completed(SCCB)
    assert isinstance(answer, SdiasAnswered)
    assert answer.status is SdiasStatus.NO_DATA
    assert answered(storage).evbuf.event_status == SdiasStatus.NO_DATA
    assert storage.read(TARGET, PAGE) == bytes(PAGE)


def test_a_request_across_the_end_is_stored_in_part():
    storage, _, calls = machine()
    put_sdias(storage, page=HSA_PAGES - 1, count=3)
    answer = calls.completed(SCCB)
    assert isinstance(answer, SdiasAnswered)
    assert (answer.status, answer.stored) == (SdiasStatus.PART_STORED, 1)
    assert answered(storage).evbuf.blk_cnt == 1


def test_a_request_for_all_of_it_is_answered_in_pieces(monkeypatch):
    monkeypatch.setattr(service_call, "_PIECE_PAGES", 1)
    storage, _, calls = machine()
    put_sdias(storage, count=0xFFFFFFFF, page=2)
    storage.writes.clear()
    answer = calls.completed(SCCB)
    assert isinstance(answer, SdiasAnswered)
    assert (answer.status, answer.stored) == (SdiasStatus.PART_STORED, 2)
    assert storage.read(TARGET, 2 * PAGE) == SAVED[2 * PAGE : 4 * PAGE]
    assert [size for at, size in storage.writes if at >= TARGET] == [PAGE, PAGE]


@given(
    page=st.integers(0, 2**32 - 3),
    count=st.integers(0, 2**32 - 1),
    address=st.integers(0, 2**64 - 1),
)
def test_no_request_writes_outside_of_memory_or_of_its_target(page, count, address):
    storage, _, calls = machine()
    put_sdias(storage, page=page, count=count, address=address)
    calls.completed(SCCB)
    for at, size in storage.writes:
        assert at + size <= 16 * PAGE or size == 0


def test_read_scp_info_is_known_by_its_command_alone():
    storage, _, calls = machine()
    header = c_sclp.sccb_header(length=PAGE, response_code=sclp.RESPONSE_READ_OK)
    storage.write(SCCB, header.dumps())
    assert calls.completed(SCCB) is None, "nobody said what this answers"
    calls.issued(0x00010001, SCCB)  # Read CPU Information answers 0x0010 too
    assert calls.completed(SCCB) is None
    calls.issued(sclp.CMDW_READ_SCP_INFO, SCCB)
    assert calls.completed(SCCB) == MachineReported(HSA_PAGES)
    size = storage.read(SCCB + sclp.READ_INFO_HSA_SIZE, 4)
    assert int.from_bytes(size, "big") == HSA_PAGES + 1
    assert storage.read(SCCB + 91, 1) == b"\x02", "list-directed dump is installed"
    assert calls.completed(SCCB) is None, "one answer, one correction"


def test_other_answers_are_left_alone():
    storage, _, calls = machine()
    before = bytes(storage.bytes)
    for sccb in (0, SCCB, 16 * PAGE, 1 << 40):
        assert calls.completed(sccb) is None
    put_sdias(storage)
    storage.bytes[SCCB + 8 + 2] = 0x02  # an event type that is not SDIAS
    after = bytes(storage.bytes)
    assert calls.completed(SCCB) is None
    assert bytes(storage.bytes) == after
    assert before != after


def test_a_machine_without_hsa_offers_dumps_and_answers_no_sdias():
    storage, _, _ = machine()
    calls = ServiceCalls(storage)
    header = c_sclp.sccb_header(length=PAGE, response_code=sclp.RESPONSE_READ_OK)
    storage.write(SCCB, header.dumps())
    storage.write(SCCB + 91, b"\x40")
    calls.issued(sclp.CMDW_READ_SCP_INFO, SCCB)
    assert calls.completed(SCCB) == MachineReported(0)
    assert storage.read(SCCB + 91, 1) == b"\x42"
    assert storage.read(SCCB + sclp.READ_INFO_HSA_SIZE, 4) == bytes(4)
    put_sdias(storage)
    before = bytes(storage.bytes)
    assert calls.completed(SCCB) is None
    assert bytes(storage.bytes) == before
