"""When the plugin holds the CPU, and when the watchpoint stays."""

from __future__ import annotations

import pytest

from harness.deadline import Deadline
from harness.errors import HostError
from harness.machine.signal_hold import SignalHold, Way
from harness.qemu.gdbstub.client import NotMapped
from harness.qemu.held_cpu import Held
from harness.s390x.lowcore import EXT_INT_SERVICE_SIGNAL, EXT_PARAMS, NEW_PSWS

LOWCORE, HANDLER = 0x1E000, 0x7FE0_0000_1230
PARAMETERS = LOWCORE + EXT_PARAMS
STOP = object()


class Memory:
    size = 1 << 20
    handler = HANDLER

    def read(self, address: int, size: int) -> bytes:
        assert (address, size) == (LOWCORE + NEW_PSWS["external"] + 8, 8)
        return self.handler.to_bytes(8, "big")


class Gdb:
    fd = 99

    def __init__(self, *, mapped: bool = True, cpu: int = 0) -> None:
        self.mapped, self.stopped_cpu, self.translated = mapped, cpu, []
        self.acks = 0  # come before a stop

    def translate_again(self, address: int) -> None:
        if not self.mapped:
            raise NotMapped("nothing there")
        self.translated.append(address)

    def wait_stop(self, deadline: Deadline) -> object:
        if deadline.seconds == 0 and self.acks:
            self.acks -= 1
            return None
        return STOP


class Plugin:
    def __init__(self, *held: Held | None) -> None:
        self.held, self.said = list(held), []

    def arm(self, *what: int) -> None:
        self.said.append(what)

    def disarm(self) -> None:
        self.said.append("disarm")

    def wait(self, other: int, seconds: float) -> Held | None:
        assert other == Gdb.fd
        return self.held.pop(0)

    def go_on(self) -> None:
        self.said.append("go on")


def answers(hold: SignalHold) -> list[bytes]:
    found: list[bytes] = []
    assert hold.wait_stop(Deadline(60), found.append) is STOP
    return found


def test_without_a_plugin_the_gdbstub_does_all():
    hold = SignalHold(None, Gdb(), Memory())
    hold.begin(PARAMETERS)
    assert not hold.at_watchpoint()
    assert answers(hold) == []
    hold.end()
    assert hold.way is Way.GDBSTUB


def test_a_plugin_that_works_replaces_the_watchpoint():
    plugin, gdb = Plugin(Held(0, b"one"), None, Held(0, b"two"), Held(0, b"three"), None), Gdb()
    hold = SignalHold(plugin, gdb, Memory())
    hold.begin(PARAMETERS)
    assert plugin.said == [(HANDLER, PARAMETERS, 0, EXT_INT_SERVICE_SIGNAL)]
    assert gdb.translated == [HANDLER]
    gdb.acks = 1
    assert answers(hold) == [b"one"]
    assert hold.way is Way.GDBSTUB, "the watchpoint is still there"
    assert hold.at_watchpoint(), "and now it can go"
    assert hold.way is Way.PLUGIN
    gdb.acks = 1
    assert answers(hold) == [b"two", b"three"]
    assert plugin.said[1:] == ["go on"] * 3
    hold.end()
    assert plugin.said[-1] == "disarm"


def test_what_the_gdbstub_says_that_is_no_stop_holds_nobody_up():
    """QEMU 7.2 acknowledges each packet: then a CPU may be held, and nobody must wait for gdb."""
    plugin, gdb = Plugin(None, None, Held(0, b"one"), None), Gdb()
    hold = SignalHold(plugin, gdb, Memory())
    hold.begin(PARAMETERS)
    gdb.acks = 3
    assert answers(hold) == [b"one"]


def test_a_stop_that_is_there_already_comes_first():
    hold = SignalHold(Plugin(), Gdb(), Memory())
    hold.begin(PARAMETERS)
    assert answers(hold) == []


def test_only_the_cpu_whose_parameters_are_known_is_held():
    plugin = Plugin()
    SignalHold(plugin, Gdb(cpu=1), Memory()).begin(PARAMETERS)
    assert plugin.said == []


def test_a_handler_that_moves_is_no_wrong_dump_but_an_error():
    memory, gdb = Memory(), Gdb()
    hold = SignalHold(Plugin(Held(0, b"one"), None), gdb, memory)
    hold.begin(PARAMETERS)
    gdb.acks = 1
    answers(hold)
    assert hold.at_watchpoint()
    memory.handler += 8
    with pytest.raises(HostError, match="moved"):
        answers(hold)
    with pytest.raises(HostError, match="moved"):
        hold.end()


def test_a_plugin_that_holds_nothing_leaves_all_to_the_watchpoint():
    plugin = Plugin()
    hold = SignalHold(plugin, Gdb(), Memory())
    hold.begin(PARAMETERS)
    assert not hold.at_watchpoint()
    assert plugin.said[-1] == "disarm"
    assert answers(hold) == []
    hold.begin(PARAMETERS)
    hold.end()
    assert plugin.said[1:] == ["disarm"], "it is tried once"
    assert hold.way is Way.GDBSTUB


def test_a_handler_that_is_not_mapped_is_not_tried():
    plugin = Plugin()
    hold = SignalHold(plugin, Gdb(mapped=False), Memory())
    hold.begin(PARAMETERS)
    assert plugin.said[-1] == "disarm"
    assert answers(hold) == []


def test_a_lowcore_at_the_end_of_memory_is_not_tried():
    plugin = Plugin()
    SignalHold(plugin, Gdb(), Memory()).begin(Memory.size - 8)
    assert plugin.said == []


def test_another_cpu_before_the_plugin_is_in_use_leaves_all_to_the_watchpoint():
    plugin, gdb = Plugin(Held(2, None)), Gdb()
    hold = SignalHold(plugin, gdb, Memory())
    hold.begin(PARAMETERS)
    gdb.acks = 1
    assert answers(hold) == []
    assert plugin.said[-1] == "disarm"


def test_another_cpu_with_a_signal_is_no_wrong_dump_but_an_error():
    gdb = Gdb()
    hold = SignalHold(Plugin(Held(0, b"one"), None, Held(2, None)), gdb, Memory())
    hold.begin(PARAMETERS)
    gdb.acks = 1
    answers(hold)
    assert hold.at_watchpoint()
    gdb.acks = 1
    with pytest.raises(HostError, match="CPU 2"):
        answers(hold)


def test_a_wait_ends_at_its_deadline():
    gdb = Gdb()
    hold = SignalHold(Plugin(), gdb, Memory())
    hold.begin(PARAMETERS)
    gdb.acks = 1
    assert hold.wait_stop(Deadline(0), print) is None
