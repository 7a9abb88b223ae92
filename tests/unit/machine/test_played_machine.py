"""A hostile guest: values that it can choose make no sense, but they harm only the guest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.faults.table import fault_of
from harness.firmware.diag308 import Diag308, IplState
from harness.firmware.faults import FirmwareFaults
from harness.firmware.hsa import Hsa
from harness.firmware.load import Firmware, ordinary_load
from harness.firmware.service_call import ServiceCalls
from harness.machine import intercept
from harness.machine.intercept import Interceptor
from harness.machine.played_machine import PlayedMachine
from harness.qemu.gdbstub.client import NotMapped, Stop
from harness.qemu.gdbstub.rsp import StopReply
from harness.qemu.gdbstub.state import State
from harness.qemu.ram import GuestRam
from harness.s390x.instructions import Opcode
from harness.s390x.ipl import FcpDevice, fcp_block
from harness.s390x.lowcore import EXT_INT_CODE, EXT_PARAMS, PROGRAM_NEW_PSW
from tests.support.cpus import make_cpu
from tests.support.memory import FakeStorage

MEMORY, LIMIT = 64 << 20, 32 << 20
TOP = 1 << 64
PROBLEM_STATE = 1 << 48
AT = 0x20000
TRAPPED = StopReply(signal=5, thread=1)
MOVED = StopReply(signal=5, thread=1, watch_address=PROGRAM_NEW_PSW)
INTERRUPTED = StopReply(signal=5, thread=1, watch_address=EXT_INT_CODE)
DIAG_2_4, DIAG_15_4, SERVC = "83240308", "83f40308", "b2200023"
BLOCK = fcp_block(FcpDevice(0x1234, 1, 1 << 48), dump=True)


class Guest:
    """A machine that stands still: its registers, its memory, and what was asked of QEMU."""

    def __init__(self, instruction: str = DIAG_2_4, fault: str = "", **registers: int) -> None:
        self.ram = GuestRam(MEMORY)
        self.ram.write(AT, bytes.fromhex(instruction))
        self.registers = {f"r{number}": 0 for number in range(16)} | {"pswm": 0, "pswa": AT}
        self.registers |= registers
        self.translated: int | None = None  # where every address leads to; None: to itself
        self.mapped = True
        self.maps: dict[int, tuple[int, int]] = {}  # virtual -> absolute address, size
        self.breaks: list[int] = []
        self.went_on: list[str] = []
        self.notes: list[str] = []
        self.gdb: Any = SimpleNamespace(
            read_register=self.registers.__getitem__,
            write_register=self._write_register,
            read_memory=self._read_memory,
            insert=self._insert,
            remove=self._remove,
            resume=lambda: self.went_on.append("resume"),
            begin_step=lambda: self.went_on.append("step"),
        )
        self.held = None  # no plugin
        self.monitor = SimpleNamespace(execute=self._gva2gpa)
        self.hsa = Hsa(FakeStorage(bytes(LIMIT)), LIMIT, make_cpu(0))
        self.diag308 = Diag308(self.ram, BLOCK, self.hsa)
        faults = FirmwareFaults([fault_of(fault)] if fault else [])
        firmware = Firmware(self.diag308, ServiceCalls(self.ram, self.hsa, faults))
        self.machine = PlayedMachine(self, self.ram, firmware, LIMIT, self)

    def play(self, stop: StopReply = TRAPPED) -> str:
        """Let the machine start at ``AT`` and come to ``stop`` there; says how it went on."""
        where, self.registers["pswa"] = self.registers["pswa"], AT
        self.machine.start_playing()
        self.registers["pswa"] = where
        assert self.machine.handle(stop)
        self.machine.go_on()
        return self.went_on.pop()

    def note(self, event: str, /, **details: object) -> None:
        self.notes.append(event)

    def _write_register(self, name: str, value: int) -> None:
        assert 0 <= value < TOP
        self.registers[name] = value

    def _read_memory(self, address: int, size: int) -> bytes:
        if not self.mapped:
            raise NotMapped(f"nothing at {address:#x}")
        return self.ram.read(address, size)

    def _insert(self, stop: Stop) -> None:
        assert 0 <= stop.address < TOP
        self.breaks.append(stop.address)

    def _remove(self, stop: Stop) -> None:
        if stop.address in self.breaks:
            self.breaks.remove(stop.address)

    def _gva2gpa(self, command, arguments, *, deadline) -> str:
        virtual = int(arguments["command-line"].split()[1], 16)
        if not self.mapped:
            return "Unmapped\r\n"
        absolute = virtual if self.translated is None else self.translated
        for start, (to, size) in self.maps.items():
            if virtual >= MEMORY:
                absolute = to + virtual - start if 0 <= virtual - start < size else MEMORY
        return f"gpa: {absolute:#x}\r\n"


def test_a_diagnose_is_played():
    guest = Guest(r2=0x5000, r4=6)
    assert guest.play() == "resume"
    assert (guest.registers["r3"], guest.registers["pswa"]) == (1, AT + 4)
    assert guest.ram.read(0x5000, len(BLOCK)) == BLOCK


def test_a_busy_sclp_gives_condition_code_2_and_qemu_does_not_execute_the_call():
    guest = Guest(SERVC, fault="sclp-busy:request=1", pswm=1 << 44)
    assert guest.play() == "resume"
    assert (guest.registers["pswa"], guest.registers["pswm"]) == (AT + 4, 2 << 44)
    assert "SCLP busy" in guest.notes
    assert AT not in guest.breaks, "only once"


@pytest.mark.parametrize("running", [True, False])
def test_a_machine_that_is_let_go_stands_still_and_stops_nowhere(running):
    guest = Guest()
    guest.gdb.state = State.RUNNING if running else State.STOPPED
    asked = []
    guest.gdb.interrupt = lambda: asked.append("interrupt")
    guest.gdb.wait_stop = lambda deadline: TRAPPED
    guest.machine.start_playing()
    assert guest.breaks
    guest.machine.stop_playing(Deadline(1))
    assert guest.breaks == []
    assert asked == (["interrupt"] if running else [])


def test_a_machine_that_does_not_stand_still_is_an_error():
    guest = Guest()
    guest.gdb.state = State.RUNNING
    guest.gdb.interrupt = lambda: None
    guest.gdb.wait_stop = lambda deadline: None
    with pytest.raises(ProtocolError, match="did not stop the machine"):
        guest.machine.stop_playing(Deadline(0))


@pytest.mark.parametrize("subcode", [2, 3, 4, 5, 6, 7])
def test_an_odd_register_is_a_specification_exception_of_qemus(subcode):
    guest = Guest(DIAG_15_4, r15=0x5000, r4=subcode)
    before = dict(guest.registers)
    assert guest.play() == "step"
    assert (guest.registers, guest.diag308.state) == (before, IplState.HSA_HELD)
    assert not guest.hsa.released


@pytest.mark.parametrize(
    ("address", "subcode"),
    [(0x5001, 6), (MEMORY, 6), (TOP - 4096, 6), (MEMORY, 5), (1, 5), (0x5000, 1 << 32 | 6)],
)
def test_operands_that_make_no_sense_are_program_exceptions_of_qemus(address, subcode):
    guest = Guest(r2=address, r4=subcode)
    assert guest.play() == "step"
    assert guest.ram.read(0x5000, 8) == bytes(8)


@pytest.mark.parametrize("instruction", [DIAG_2_4, SERVC])
def test_a_program_in_the_problem_state_gets_nothing(instruction):
    guest = Guest(instruction, r2=0x5000, r4=6, pswm=PROBLEM_STATE)
    assert guest.play() == "step"
    assert guest.ram.read(0x5000, 8) == bytes(8)


def test_the_instruction_at_a_breakpoint_may_have_changed():
    guest = Guest()
    guest.machine.start_playing()
    guest.ram.write(AT, bytes(4))
    assert guest.play() == "step"
    guest.mapped = False
    assert guest.machine.handle(TRAPPED), "that was the step's end"
    guest.machine.go_on()
    assert guest.machine.handle(TRAPPED)
    guest.machine.go_on()
    assert guest.went_on == ["resume", "step"]


def test_addresses_wrap_around():
    guest = Guest(pswa=TOP - 4, r4=2)
    guest.translated = AT
    guest.machine.start_playing()
    guest.gdb.read_memory = lambda address, size: bytes.fromhex(DIAG_2_4)
    assert guest.machine.handle(TRAPPED)
    assert (guest.hsa.released, guest.registers["pswa"]) == (True, 0)


@pytest.mark.parametrize(
    ("pswa", "translated"),
    [(0, 0), (80 << 20, None), (AT, LIMIT + (20 << 20)), (AT, MEMORY - 2), (AT, MEMORY), (5, TOP)],
)
def test_a_psw_can_be_anywhere(pswa, translated):
    guest = Guest(pswa=pswa)
    guest.translated = translated
    assert guest.play(MOVED) == "resume"


def test_breakpoints_are_at_addresses_that_there_are():
    guest = Guest(pswa=TOP - 8)
    guest.ram.write(AT + 16, bytes.fromhex(DIAG_2_4))
    guest.translated = AT
    assert guest.play(MOVED) == "resume"
    assert TOP - 8 in guest.breaks


def test_only_what_the_kernel_maps_as_a_part_of_itself_is_kept():
    virtual, absolute, kernel = 1 << 41, 4 << 20, 8 << 20
    guest = Guest()
    subject = Interceptor(guest.gdb, guest.monitor, guest.ram, LIMIT)
    assert subject.search(frozenset({Opcode.DIAG308})) == 1, "where the kernel was before"
    for place in (0x100, kernel + 0x100):
        guest.ram.write(absolute + place, bytes.fromhex(DIAG_2_4))
    guest.registers["pswa"], guest.maps[virtual] = virtual, (absolute, kernel)
    # that of before, too, under its other address
    assert subject.search(frozenset({Opcode.DIAG308})) == 3
    subject.forget_elsewhere()
    assert guest.breaks == [*subject.sites] == [virtual + 0x100]


def test_everything_is_kept_if_it_is_not_known_where_the_kernel_is():
    guest = Guest()
    subject = Interceptor(guest.gdb, guest.monitor, guest.ram, LIMIT)
    subject.search(frozenset({Opcode.DIAG308}))
    guest.mapped = False
    subject.forget_elsewhere()
    assert guest.breaks == [*subject.sites] == [AT]


def test_a_psw_that_is_not_translated_finds_nothing():
    guest = Guest()
    guest.machine.start_playing()
    guest.mapped = False
    guest.breaks.clear()
    assert guest.machine.handle(MOVED)
    assert guest.breaks == []


def test_a_service_signal_in_a_lowcore_that_is_not_there_is_none():
    guest = Guest()
    guest.machine.start_playing()
    guest.mapped = False
    assert guest.machine.handle(INTERRUPTED)


@pytest.mark.parametrize("sccb", [0, MEMORY - 8, MEMORY, 0xFFFFFFF8])
@pytest.mark.parametrize("lowcore", [MEMORY - 4, MEMORY, None])
def test_a_service_signal_can_be_for_any_sccb(sccb, lowcore):
    guest = Guest()
    guest.ram.write(EXT_PARAMS, sccb.to_bytes(4, "big") + bytes.fromhex("00002401"))
    guest.translated = lowcore
    for _ in range(2):
        assert guest.play(INTERRUPTED) == "resume"


def test_there_are_not_more_breakpoints_than_qemu_can_bear(monkeypatch):
    monkeypatch.setattr(intercept, "MOST_SITES", 100)
    guest = Guest()
    assert guest.machine.limits == ()
    guest.ram.write(0, bytes.fromhex(DIAG_2_4) * (LIMIT // 4))
    assert guest.play(MOVED) == "resume"
    sites = set(guest.breaks) - {PROGRAM_NEW_PSW, EXT_INT_CODE}
    assert len(sites) == 100
    assert max(sites) < 1 << 20, "they are near the PSW"
    assert guest.machine.limits == (
        "more than 1024 places look like machine instructions: only so many, near where the "
        "kernel ran, were watched",
    )


@pytest.mark.parametrize("signal", [2, 3, 6, 23, 143])
def test_a_machine_that_stands_still_is_not_played(signal):
    guest = Guest(r2=0x5000, r4=6)
    guest.machine.start_playing()
    assert not guest.machine.handle(StopReply(signal=signal, thread=1))


def test_a_gdbstub_is_needed():
    guest = Guest()
    guest.gdb = None
    with pytest.raises(ProtocolError, match="gdbstub"):
        PlayedMachine(guest, guest.ram, ordinary_load(guest.ram, BLOCK), LIMIT, guest)
