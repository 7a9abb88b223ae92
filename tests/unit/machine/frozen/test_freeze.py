"""When a system may be frozen, and what is written then."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import EvidenceError, HarnessError
from harness.evidence.names import RAM
from harness.machine.frozen import freeze as module
from harness.machine.frozen.freeze import freeze
from harness.machine.frozen.record import FACTS, STATE, Frozen
from harness.machine.system.bootable import Bootable
from harness.machine.system.session import PlayedState
from harness.qemu.spec import MachineSpec
from harness.s390x.instructions import Opcode
from tests.support.qemu.device_state import cpu_section

MEMORY = 4096
AT_REST = "PSW=mask 0706c00180000000 addr 0000000000a31baa cc 00\r\n"
RUNS = "PSW=mask 0704c00180000000 addr 0000000000a31baa cc 00\r\n"
NOTHING, PENDING = (b"QEVM" + cpu_section(0, halted=1, request=each) for each in (0, 2))
PLAYED = PlayedState(bytes(range(64)), {0x10000: Opcode.DIAG308})


class FakeSystem:
    """A system of one CPU that is as ``looks`` and ``states`` say, look after look."""

    def __init__(self, looks: list[str], states: list[bytes], played: PlayedState | None = None):
        self.looks, self.states, self.done = looks, states, []
        self.ended = False
        self.qemu = SimpleNamespace(monitor=self)
        self.ram = SimpleNamespace(save=lambda path: path.write_bytes(bytes(MEMORY)))
        self.console = SimpleNamespace(last_lines="\n  | panic")
        self.session = None if played is None else self
        self.played = played

    def execute(self, command, arguments=None, *, deadline):
        if command == "human-monitor-command":
            return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.done.append(command)
        return {}

    def wait_event(self, names, deadline):
        return object() if self.ended else None

    def hold(self, deadline) -> None:
        self.done.append("hold")

    def go_on(self) -> None:
        self.done.append("go on")

    def was_resumed(self) -> None:
        self.done.append("was resumed")

    def play(self, deadline) -> bool:
        return not self.ended

    def save_state(self, monitor, deadline) -> bytes:
        assert monitor is self
        return self.states.pop(0)


@pytest.fixture
def frozen(tmp_path, monkeypatch):
    """Freeze a fake system, as far as that goes in so many seconds."""

    def frozen(system: FakeSystem, seconds: float = 10) -> Frozen:
        monkeypatch.setattr(module, "save_state", system.save_state)
        freeze(system, 1, tmp_path, Deadline(seconds))
        return Frozen(tmp_path, Bootable(MachineSpec(MEMORY, 1)))

    return frozen


def test_a_system_at_rest_is_frozen_at_once(frozen):
    system = FakeSystem([AT_REST], [NOTHING])
    found = frozen(system)
    assert system.done == ["stop"]
    assert (found.state, found.facts()) == (NOTHING, ((AT_REST,), None))
    assert found.ram_image.stat().st_size == MEMORY


def test_a_system_that_runs_is_looked_at_again(frozen):
    system = FakeSystem([RUNS, RUNS, AT_REST], [NOTHING])
    frozen(system)
    assert system.done == ["stop", "cont", "stop", "cont", "stop"]


def test_an_interruption_that_would_be_lost_is_let_through_first(frozen):
    system = FakeSystem([AT_REST], [PENDING, NOTHING])
    assert frozen(system).state == NOTHING
    assert system.done == ["stop", "cont", "stop"]


def test_a_played_system_is_held_and_goes_on_with_its_disks(frozen):
    system = FakeSystem([RUNS, AT_REST], [PENDING, NOTHING], PLAYED)
    found = frozen(system)
    assert system.done == ["hold", "go on", "hold", "cont", "was resumed", "hold"]
    assert found.facts() == ((AT_REST,), PLAYED)


def test_a_system_that_never_rests_is_not_frozen(frozen, tmp_path):
    with pytest.raises(HarnessError, match="never at rest in 0 s"):
        frozen(FakeSystem([RUNS], []), seconds=0.2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("played", [None, PLAYED])
def test_a_system_that_ends_meanwhile_is_not_frozen(frozen, played):
    system = FakeSystem([RUNS], [], played)
    system.ended = True
    with pytest.raises(HarnessError, match=r"ended before it was frozen; .*\n  \| panic"):
        frozen(system)


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param("{}", id="nothing"),
        pytest.param('{"registers": ["x"], "played": {"ipl_block": "0"}}', id="half a byte"),
        pytest.param('{"registers": [1], "played": null}', id="no text"),
        pytest.param(
            '{"registers": [], "played": {"ipl_block": "", "sites": {"0": "NO"}}}', id="no opcode"
        ),
    ],
)
def test_damaged_facts_are_refused(frozen, facts):
    found = frozen(FakeSystem([AT_REST], [NOTHING]))
    Path(found.directory, FACTS).write_text(facts)
    with pytest.raises(EvidenceError, match=FACTS):
        found.facts()


def test_the_files_have_these_names(frozen, tmp_path):
    frozen(FakeSystem([AT_REST], [NOTHING]))
    assert {path.name for path in tmp_path.iterdir()} == {RAM, STATE, FACTS}
