"""A faulty machine answers wrongly where the scenario says, and nowhere else."""

from __future__ import annotations

import pytest

from harness.faults.fault import Group, Promise
from harness.faults.table import FAULTS, fault_of
from harness.firmware.faults import KINDS, FirmwareFaults, Signal
from harness.firmware.hsa import Hsa
from harness.firmware.service_call import MachineReported, SdiasAnswered, ServiceCalls
from harness.firmware.signal_processor import Signalled, StoppedCpus
from harness.s390x import sclp, sigp
from harness.s390x.layouts.c_sclp import c_sclp
from harness.s390x.sclp import SdiasQualifier, SdiasStatus
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage
from tests.support.sdias import PAGE, SCCB, TARGET, answered, put_sdias

HSA_PAGES = 4
SAVED = b"\x11" * (16 * PAGE)
NOTHING = bytes(PAGE)


class Machine:
    def __init__(self, *faults: str) -> None:
        self.storage = FakeStorage(bytes(16 * PAGE))
        self.hsa = Hsa(FakeStorage(SAVED), HSA_PAGES * PAGE, make_cpu(0))
        self.faults = FirmwareFaults(map(fault_of, faults))
        self.calls = ServiceCalls(self.storage, self.hsa, self.faults)

    def ask(self, page: int = 2, qualifier: SdiasQualifier = SdiasQualifier.STORE_DATA):
        self.storage.write(TARGET, NOTHING)
        put_sdias(self.storage, page=page, qualifier=qualifier)
        answer = self.calls.completed(SCCB)
        assert isinstance(answer, SdiasAnswered)
        return answer

    @property
    def stored(self) -> bytes:
        return self.storage.read(TARGET, PAGE)


def test_the_firmware_plays_every_fault_of_the_machine():
    ours = {name for name, kind in FAULTS.items() if kind.group is Group.MACHINE}
    assert ours == KINDS


@pytest.mark.parametrize(
    ("kind", "response", "accepted", "status"),
    [
        ("sdias-not-accepted", sclp.RESPONSE_EVENT_OK, False, 0),
        ("sdias-equipment-check", 0x0340, True, 0),
        ("sdias-invalid-sccb", 0x0300, True, 0),
        ("sdias-no-data", sclp.RESPONSE_EVENT_OK, True, SdiasStatus.NO_DATA),
        ("sdias-part-stored", sclp.RESPONSE_EVENT_OK, True, SdiasStatus.PART_STORED),
        ("sdias-unknown-status", sclp.RESPONSE_EVENT_OK, True, 0x7F),
    ],
)
def test_a_request_that_is_refused_stores_nothing(kind, response, accepted, status):
    machine = Machine(f"{kind}:request=2")
    for number in (1, 2, 3):
        answer = machine.ask()
        wrong = number == 2
        assert machine.stored == (NOTHING if wrong else SAVED[:PAGE])
        if wrong:
            sccb = answered(machine.storage)
            assert sccb.hdr.response_code == response
            assert bool(sccb.evbuf.hdr.flags & sclp.EVBUF_ACCEPTED) is accepted is answer.accepted
            assert sccb.evbuf.event_status == status
            assert (answer.page, answer.count, answer.stored) == (2, 1, 0)
    assert machine.faults.played == {f"{kind}:request=2": 1}


def test_a_busy_machine_does_not_tell_its_size():
    machine = Machine("sdias-not-accepted:request=1")
    answer = machine.ask(qualifier=SdiasQualifier.SIZE)
    assert (answer.accepted, answer.page, answer.count) == (False, 0, 0)
    assert machine.ask(qualifier=SdiasQualifier.SIZE).accepted
    assert answered(machine.storage).evbuf.blk_cnt == HSA_PAGES


def test_a_fault_happens_so_often_one_after_the_other():
    machine = Machine("sdias-no-data:request=2,count=2")
    stored = [machine.ask().stored for _ in range(5)]
    assert stored == [1, 0, 0, 1, 1]


def test_a_fault_of_a_page_happens_when_that_page_is_asked_for():
    machine = Machine(f"sdias-no-data:address={PAGE:#x},count=2")
    stored = [machine.ask(page=page).stored for page in (0, 1, 2, 1, 1)]
    assert stored == [1, 0, 1, 0, 1]
    machine = Machine(f"sdias-no-data:address={PAGE:#x},count=all")
    assert [machine.ask(page=1).stored for _ in range(3)] == [0, 0, 0]


def test_an_answer_with_a_wrong_length_has_its_data():
    machine = Machine("sdias-wrong-length:request=1")
    assert machine.ask().stored == 1
    assert machine.stored == SAVED[:PAGE]
    assert answered(machine.storage).evbuf.hdr.length == 0


@pytest.mark.parametrize(
    ("kind", "signal"),
    [("sdias-lost", Signal.OF_NOTHING), ("sdias-other-sccb", Signal.OF_ANOTHER)],
)
def test_an_answer_whose_signal_is_wrong_has_its_data(kind, signal):
    machine = Machine(f"{kind}:request=1")
    answer = machine.ask()
    assert machine.stored == SAVED[:PAGE]
    assert answer.fault is not None
    assert answer.fault.signal is signal
    assert answer.accepted


def test_the_asynchronous_form_answers_by_an_event():
    machine = Machine("sdias-asynchronous")
    machine.ask(qualifier=SdiasQualifier.SIZE)
    assert answered(machine.storage).evbuf.blk_cnt == 0, "there is no synchronous form"
    answer = machine.ask(qualifier=SdiasQualifier.SIZE)
    assert answer.fault is not None
    assert answer.fault.signal is Signal.WITH_EVENT
    assert event(machine).evbuf.blk_cnt == HSA_PAGES
    machine.ask(page=2)
    assert machine.stored == SAVED[:PAGE]
    assert answered(machine.storage).evbuf.event_status == SdiasStatus.NO_DATA
    told = event(machine)
    assert (told.evbuf.event_status, told.evbuf.blk_cnt) == (SdiasStatus.ALL_STORED, 1)
    assert told.evbuf.hdr.type == sclp.EVTYP_SDIAS


def event(machine: Machine):
    """What Read Event Data gives, for which QEMU has nothing."""
    header = c_sclp.sccb_header(length=PAGE, response_code=sclp.RESPONSE_NO_EVENTS)
    machine.storage.write(SCCB, header.dumps())
    assert machine.calls.completed(SCCB) is None
    told = answered(machine.storage)
    assert told.hdr.response_code == sclp.RESPONSE_EVENT_OK
    assert told.hdr.length == 8 + told.evbuf.hdr.length
    machine.storage.write(SCCB, header.dumps())
    machine.calls.completed(SCCB)
    assert answered(machine.storage).hdr.response_code == sclp.RESPONSE_NO_EVENTS, "only once"
    return told


def test_an_hsa_that_is_lost_stays_lost():
    machine = Machine("hsa-released-early:request=2")
    answers = [machine.ask().status for _ in range(3)]
    assert answers == [SdiasStatus.ALL_STORED, SdiasStatus.NO_DATA, SdiasStatus.NO_DATA]
    assert machine.hsa.released


def test_a_machine_without_sdias_leaves_qemus_answer():
    machine = Machine("no-sdias")
    machine.ask()
    assert answered(machine.storage).hdr.response_code == sclp.RESPONSE_INVALID_FUNCTION
    assert machine.stored == NOTHING


def test_a_busy_sclp_refuses_the_calls_after_a_request():
    machine = Machine("sclp-busy:request=3,count=2")
    accepted = []
    for page in range(4):
        accepted.append(machine.calls.issued(sclp.CMDW_READ_SCP_INFO + 1, SCCB))
        while not accepted[-1]:  # as a system does, after a while
            accepted.append(machine.calls.issued(sclp.CMDW_READ_SCP_INFO + 1, SCCB))
        assert machine.ask(page).status is SdiasStatus.ALL_STORED
    assert accepted == [True, True, False, False, True, True]
    assert list(machine.faults.played.values()) == [2]
    assert not machine.calls.refuse_some, "not any more"
    assert Machine("sclp-busy:request=3").calls.refuse_some
    assert not Machine().calls.refuse_some


@pytest.mark.parametrize(
    ("fault", "pages", "field"),
    [
        ("hsa-size-zero", 0, 0),
        ("hsa-told-smaller:size=8K", 2, 3),
        ("hsa-told-larger:size=1M", 256, 257),
    ],
)
def test_the_size_of_the_hsa_that_the_machine_tells(fault, pages, field):
    machine = Machine(fault)
    header = c_sclp.sccb_header(length=PAGE, response_code=sclp.RESPONSE_READ_OK)
    machine.storage.write(SCCB, header.dumps())
    machine.calls.issued(sclp.CMDW_READ_SCP_INFO, SCCB)
    assert machine.calls.completed(SCCB) == MachineReported(pages)
    told = machine.storage.read(SCCB + sclp.READ_INFO_HSA_SIZE, 4)
    assert int.from_bytes(told, "big") == field
    assert list(machine.faults.played.values()) == [1]


@pytest.mark.parametrize(
    ("kind", "sense", "store"),
    [
        ("sigp-not-operational", Signalled(3), Signalled(3)),
        ("sigp-check-stop", Signalled(1, 0x10), Signalled(1, 0x10)),
        ("sigp-status-refused", Signalled(1, 0x40), Signalled(1, 0x200)),
    ],
)
def test_a_cpu_that_does_not_obey(kind, sense, store):
    storage = FakeStorage(bytes(16 * PAGE))
    faults = FirmwareFaults([fault_of(f"{kind}:cpu=2")])
    others = StoppedCpus(storage, [make_cpu(cpu) for cpu in range(4)], 0, faults)
    assert others.signal(sigp.Order.SENSE, 2, 0) == sense
    assert others.signal(sigp.Order.STORE_STATUS_AT_ADDRESS, 2, TARGET) == store
    assert not storage.writes
    assert others.stored == set()
    assert others.signal(sigp.Order.STORE_STATUS_AT_ADDRESS, 3, TARGET) == Signalled(0)
    assert others.stored == {3}
    assert others.signal(sigp.Order.RESTART, 3, 0) is None
    assert others.signal(sigp.Order.SENSE, 2, 0) == Signalled(1, 0x40), "QEMU's from now on"
    assert faults.played[f"{kind}:cpu=2"] >= 1


def test_without_faults_nothing_is_wrong():
    machine = Machine()
    assert machine.ask().status is SdiasStatus.ALL_STORED
    assert machine.faults.played == {}
    assert all(kind.promise in Promise for kind in FAULTS.values())
