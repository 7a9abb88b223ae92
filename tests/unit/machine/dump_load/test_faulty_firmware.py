"""A dump session plays every firmware that it gets, also a faulty one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.dump_tools.table import ZFCPDUMP
from harness.firmware.hsa import Hsa
from harness.firmware.load import DumpFirmware, dump_load
from harness.firmware.service_call import Played, ServiceCalls
from harness.machine.dump_load.console_watch import ConsoleWatch
from harness.machine.dump_load.session import DumpSession
from harness.qemu.gdbstub.rsp import StopReply
from harness.s390x import sclp
from harness.s390x.ipl import fcp_block
from harness.s390x.lowcore import EXT_INT_CODE, EXT_INT_SERVICE_SIGNAL, EXT_PARAMS
from harness.s390x.sclp import SdiasStatus
from harness.s390x.wiring import DUMP_DISK
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage
from tests.support.sdias import PAGE, SCCB, TARGET, answered, put_sdias

SAVED = 4 * PAGE  # bytes of old memory that the load overwrites
SERVICE_SIGNAL = StopReply(signal=5, thread=1, watch_address=EXT_INT_CODE)


class BusyOnce(ServiceCalls):
    """The first request is not played: QEMU's refusal is what the dump system gets."""

    busy = True

    def completed(self, sccb: int) -> Played:
        busy, self.busy = self.busy, False
        return None if busy else super().completed(sccb)


class Machine:
    """QEMU's part: each service signal is for the same SCCB."""

    def __init__(self) -> None:
        self.ram = FakeStorage(bytes(16 * PAGE))
        self.old = FakeStorage(b"\x39" * (16 * PAGE))
        self.old.restore = lambda ram, start: start  # type: ignore[attr-defined]
        self.crash = SimpleNamespace(cpus=(make_cpu(1),))
        self.gdb = SimpleNamespace(read_memory=self.ram.read, read_register=lambda name: 0)
        self.held = None
        self.monitor = SimpleNamespace(execute=lambda *_, **__: "Unmapped")
        interruption = SCCB.to_bytes(4, "big") + bytes(2)
        interruption += EXT_INT_SERVICE_SIGNAL.to_bytes(2, "big")
        self.ram.write(EXT_PARAMS, interruption)
        block = fcp_block(DUMP_DISK, dump=True)
        self.sound = dump_load(self.ram, block, self.old, self.crash.cpus, SAVED)

    def note(self, event: str, /, **details: object) -> None:
        """Nobody is told."""

    def session(self, firmware: DumpFirmware) -> DumpSession:
        console = ConsoleWatch(ZFCPDUMP)
        return DumpSession(self, self.ram, firmware, self.old, self.crash, SAVED, self, console)


def test_what_sound_firmware_does():
    machine = Machine()
    session = machine.session(machine.sound)
    put_sdias(machine.ram, page=3)
    assert session.handle(SERVICE_SIGNAL)
    assert answered(machine.ram).evbuf.event_status == SdiasStatus.ALL_STORED
    assert machine.ram.read(TARGET, PAGE) == b"\x39" * PAGE
    assert session.observations()["sdias_requests"] == 1


def test_service_calls_that_are_busy_at_first():
    machine = Machine()
    calls = BusyOnce(machine.ram, machine.sound.hsa)
    session = machine.session(replace(machine.sound, calls=calls))
    put_sdias(machine.ram, page=3)
    assert session.handle(SERVICE_SIGNAL)
    assert answered(machine.ram).hdr.response_code == sclp.RESPONSE_INVALID_FUNCTION
    assert session.handle(SERVICE_SIGNAL)
    assert answered(machine.ram).hdr.response_code == sclp.RESPONSE_EVENT_OK
    assert session.observations()["sdias_requests"] == 1


@pytest.mark.parametrize(
    ("page", "status"), [(1, SdiasStatus.ALL_STORED), (2, SdiasStatus.NO_DATA)]
)
def test_an_hsa_that_is_too_small(page, status):
    machine = Machine()
    hsa = Hsa(machine.old, SAVED // 2, make_cpu(1))
    calls = ServiceCalls(machine.ram, hsa)
    session = machine.session(replace(machine.sound, hsa=hsa, calls=calls))
    put_sdias(machine.ram, page=page)
    assert session.handle(SERVICE_SIGNAL)
    assert answered(machine.ram).evbuf.event_status == status


def test_a_small_hsa_does_not_have_the_dump_system_overwritten(monkeypatch):
    machine = Machine()
    hsa = Hsa(machine.old, SAVED // 2, make_cpu(1))
    session = machine.session(replace(machine.sound, hsa=hsa))
    monkeypatch.setattr(session, "_restore_vector_registers", lambda: None)
    monkeypatch.setattr(session, "start_playing", lambda: None)
    session.take_over()
    assert session.observations()["old_memory_restored"] == SAVED, "where restoring began"
