"""What is done to a dump system at one of its SDIAS requests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.faults.table import fault_of
from harness.machine.dump_load import interference as module
from harness.machine.dump_load.interference import LOOP, LOOP_AT, UNMAPPED, Interference, Then
from tests.support.memory import FakeStorage

LOWCORE = 0x2000


class Fake:
    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.ram = FakeStorage(bytes(0x4000))
        self.monitor = self

    def execute(self, command, arguments=None, *, deadline) -> None:
        self.done.append((command, arguments))

    def write_register(self, name: str, value: int) -> None:
        self.done.append((name, value))


def interfered(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Fake, Then]:
    waited = SimpleNamespace(Event=lambda: SimpleNamespace(wait=lambda seconds: None))
    monkeypatch.setattr(module, "threading", waited)
    fake, ours = Fake(), Interference([fault_of(text)], "scsi0")
    assert not ours.happens_at(4)
    assert ours.at_request(4, fake, fake, fake.ram, LOWCORE) is Then.RUN
    assert not fake.done
    assert ours.happens_at(5)
    then = ours.at_request(5, fake, fake, fake.ram, LOWCORE)
    assert ours.played == {text: 1}
    return fake, then


@pytest.mark.parametrize(
    ("kind", "then", "done"),
    [
        ("disk-gone", Then.RUN, [("device_del", {"id": "scsi0"})]),
        ("system-oops", Then.RUN, [("pswa", UNMAPPED)]),
        ("operator-pause", Then.RUN, []),
        ("operator-restart", Then.RUN, [("inject-nmi", None)]),
        ("operator-stop", Then.STOPPED, []),
        ("operator-reset", Then.RESET, []),
    ],
)
def test_what_happens(kind, then, done, monkeypatch):
    fake, how = interfered(f"{kind}:request=5", monkeypatch)
    assert how is then
    assert fake.done == done


def test_a_system_that_hangs_loops_in_its_own_lowcore(monkeypatch):
    fake, _ = interfered("system-hang:request=5", monkeypatch)
    assert fake.ram.read(LOWCORE + LOOP_AT, len(LOOP)) == LOOP
    assert [name for name, _ in fake.done] == ["pswm", "pswa"]
