"""Our side of the plugin, against a peer that plays the plugin."""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import clock
from harness.errors import QemuDied
from harness.qemu import scheduling
from harness.qemu.held_cpu import BusyWait, Held, HeldCpu
from harness.qemu.scheduling import waited_for_a_cpu

INTERRUPTION = bytes.fromhex("0001200000002401")


@pytest.fixture
def held() -> Iterator[HeldCpu]:
    with HeldCpu() as made:
        yield made


@pytest.fixture
def other() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def control(held: HeldCpu) -> tuple:
    with mmap.mmap(held.control, mmap.PAGESIZE, prot=mmap.PROT_READ) as seen:
        return struct.unpack_from("=QQI2s", seen)


class Host:
    """A host on which this thread waits for a CPU for a ``share`` of the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = self.waited = 0.0
        self.asked = 0
        monkeypatch.setattr(clock, "now", lambda: self.time)

    def wait(self) -> float:
        self.asked += 1
        return self.waited

    def passes(self, seconds: float, share: float) -> None:
        self.time += seconds
        self.waited += seconds * share


def test_a_busy_wait_takes_no_cpu_from_others(monkeypatch):
    host = Host(monkeypatch)
    subject = BusyWait(host.wait)
    assert not subject.allowed(), "it is not known yet"
    host.passes(BusyWait.PAUSE_SECONDS, 0.01)
    assert subject.allowed()
    host.passes(BusyWait.CHECK_SECONDS, 0.5)
    assert not subject.allowed()
    host.passes(BusyWait.CHECK_SECONDS, 0)
    assert not subject.allowed(), "it pauses"
    host.passes(BusyWait.PAUSE_SECONDS, 0)
    assert subject.allowed()


def test_the_kernel_is_not_asked_each_time(monkeypatch):
    host = Host(monkeypatch)
    subject = BusyWait(host.wait)
    for _ in range(1000):
        host.passes(BusyWait.CHECK_SECONDS / 100, 0)
        subject.allowed()
    assert host.asked < 20


def test_without_a_count_of_the_kernel_nobody_waits_busily(monkeypatch):
    host = Host(monkeypatch)
    subject = BusyWait(lambda: None)
    host.passes(BusyWait.PAUSE_SECONDS, 0)
    assert not subject.allowed()
    monkeypatch.setattr(scheduling, "_OF_THIS_THREAD", Path("/nonexistent"))
    assert waited_for_a_cpu() is None


def test_the_kernel_counts():
    assert (waited_for_a_cpu() is not None) == Path("/proc/thread-self/schedstat").exists()


@pytest.mark.parametrize("allowed", [True, False])
def test_both_sides_look_before_they_sleep(held, other, allowed, monkeypatch):
    monkeypatch.setattr(held._busy_wait, "allowed", lambda: allowed)
    say(held)
    assert held.wait(other[0].fileno(), 10) is not None
    assert held.wait(other[0].fileno(), 0.0) is None
    with mmap.mmap(held.control, mmap.PAGESIZE, prot=mmap.PROT_READ) as seen:
        (tries,) = struct.unpack_from("=I", seen, 24)
    assert (tries > 0) == allowed
    assert control(held) == (0, 0, 0, b"\0\0")


def say(held: HeldCpu, cpu: int = 0, known: int = 1, interruption: bytes = INTERRUPTION) -> None:
    held.theirs.send(struct.pack("=II8s", cpu, known, interruption))


def test_the_plugin_is_told_what_to_hold(held):
    assert control(held) == (0, 0, 0, b"\0\0")
    held.arm(0x7FE0_1234_5678, 0x1F080, 3, 0x2401)
    assert control(held) == (0x7FE0_1234_5678, 0x1F080, 3, b"\x24\x01")


def test_a_held_cpu_is_heard_and_goes_on(held, other):
    say(held, cpu=2)
    assert held.wait(other[0].fileno(), 10) == Held(2, INTERRUPTION)
    held.go_on()
    assert held.theirs.recv(10) == b"\0"


def test_another_cpu_has_no_parameters(held, other):
    say(held, cpu=1, known=0)
    assert held.wait(other[0].fileno(), 10) == Held(1, None)


def test_the_other_descriptor_ends_the_wait(held, other):
    other[1].send(b"x")
    assert held.wait(other[0].fileno(), 10) is None


def test_a_wait_ends(held, other):
    assert held.wait(other[0].fileno(), 0.0) is None


def test_another_descriptor_can_follow(held, other):
    first, second = socket.socketpair()
    with first, second:
        assert held.wait(first.fileno(), 0.0) is None
        other[1].send(b"x")
        assert held.wait(other[0].fileno(), 10) is None


@pytest.mark.parametrize("what", [b"", b"short"])
def test_a_plugin_that_is_gone_or_speaks_nonsense(held, other, what):
    if what:
        held.theirs.send(what)
    else:
        held.theirs.close()
    with pytest.raises(QemuDied, match="its plugin"):
        held.wait(other[0].fileno(), 10)


def test_no_cpu_is_held_after_the_end(held):
    held.arm(1, 2, 3, 0x2401)
    held.disarm()
    assert control(held) == (0, 0, 0, b"\0\0")
    assert held.theirs.recv(1) == b"", "so a CPU that is held goes on"
    with pytest.raises(QemuDied):
        held.go_on()


def test_nothing_stays_open():
    before = set(Path("/proc/self/fd").iterdir())
    with HeldCpu() as held:
        held.theirs.close()  # as after a start of QEMU
    held.close()
    assert set(Path("/proc/self/fd").iterdir()) == before
