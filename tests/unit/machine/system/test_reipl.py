"""The re-IPL of the original system: the disk that is loaded, and the files that it leaves."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.errors import PhaseTimeout, ProtocolError
from harness.evidence.names import OUTCOME
from harness.evidence.outcome import ReIplOutcome
from harness.machine.system.reipl import Again, reipl
from harness.qemu.disk import Disk
from harness.s390x.ipl import FcpDevice, fcp_block
from harness.s390x.wiring import DUMP_DISK, SYSTEM_DISK
from harness.ssh.handshake import Login

BLOCK = fcp_block(SYSTEM_DISK, dump=False)
OTHER = FcpDevice(SYSTEM_DISK.devno, SYSTEM_DISK.wwpn, SYSTEM_DISK.lun + 1)


CONDITION = f"count 2\nboot {'a' * 32}\nstate running\n"


class FakeShell:
    """Each script that is put says what it was told to; ``on`` is called for the copy."""

    def __init__(self, condition: str = CONDITION, own: str = "", on=lambda: None) -> None:
        self.put_files: list[str] = []
        self._said, self._on = {"condition": condition, "own-dump 2": own}, on

    def put(self, local, remote, deadline):
        assert local.is_file()
        self.put_files.append(remote)

    def run(self, command, deadline):
        there, _, arguments = command.removeprefix("sh ").partition(" ")
        assert there == self.put_files[-1]
        name = f"{there.removeprefix('/root/zharness-')} {arguments}".rstrip()
        if name.startswith("own-dump"):
            self._on()
        return self._said[name]


class FakeBooter:
    """Boots nothing; ``error`` is what happens instead."""

    def __init__(self, error: Exception | None = None, shell: FakeShell | None = None) -> None:
        self.boots: list[tuple] = []
        self.notes: list[str] = []
        self.phases = SimpleNamespace(note=self.notes.append, phase=self._phase)
        self._error, self._shell = error, shell

    @contextmanager
    def _phase(self, phase):
        assert phase == "reipl"
        yield Deadline(60.0)

    @contextmanager
    def booted(self, system, directory, phase):
        assert not (directory / OUTCOME).exists(), "it is not over yet"
        self.boots.append((system.spec, system.system_disk, system.ipl_block, phase, system.login))
        (directory / "system.img").touch()  # the copy that is loaded
        if self._error is not None:
            raise self._error
        yield SimpleNamespace(shell=self._shell)


@pytest.fixture
def snapshot(tmp_path):
    disk = tmp_path / "crash.img"
    return SimpleNamespace(
        memory=256 << 20, cpus=(1, 2, 3), machine={"cpu_model": "max,vx=off"}, system_disk=disk
    )


def left(directory) -> dict:
    return json.loads((directory / OUTCOME).read_bytes())


def test_the_original_system_is_loaded_from_its_disk(snapshot, tmp_path):
    booter = FakeBooter()
    outcome = reipl(booter, snapshot, BLOCK, tmp_path / "reipl")
    assert outcome.loaded
    ((spec, disk, block, phase, login),) = booter.boots
    assert (spec.memory, spec.cpus, spec.cpu_model) == (256 << 20, 3, "max,vx=off")
    assert (disk, block, phase) == (snapshot.system_disk, BLOCK, "reipl")
    assert login is None
    assert left(tmp_path / "reipl") == {"named": outcome.named, "loaded": True}
    assert booter.notes == ["the original system is up again"]
    assert not (tmp_path / "reipl/system.img").exists(), "nobody needs it any more"


def test_a_full_system_is_up_again_when_it_lets_its_user_in(snapshot, tmp_path):
    login = Login("root", tmp_path / "key", "ssh-ed25519 AAAA")
    booter = FakeBooter(shell=FakeShell())
    outcome = reipl(booter, snapshot, BLOCK, tmp_path / "reipl", Again(login))
    assert booter.boots[0][-1] is login
    assert booter.boots[0][0].disks == ()
    assert outcome.condition is not None
    assert (outcome.condition.count, outcome.condition.state) == (2, "running")
    assert left(tmp_path / "reipl")["condition"]["boot"] == "a" * 32
    assert "own_dump" not in left(tmp_path / "reipl")


@pytest.fixture
def again(tmp_path):
    """A full system that is to collect its dump."""
    login = Login("root", tmp_path / "key", "ssh-ed25519 AAAA")
    return Again(login, Disk.for_dump(tmp_path / "disk.img"))


def collecting(snapshot, tmp_path, again, own: str, copy: bytes = b""):
    """The outcome, and the directory, if the system says ``own`` of its ``copy``."""
    directory = tmp_path / "reipl"

    def on() -> None:
        exchange = directory / "exchange.img"
        assert exchange.stat().st_size == snapshot.memory + (64 << 20)
        with exchange.open("r+b") as file:
            file.write(copy)

    booter = FakeBooter(shell=FakeShell(own=own, on=on))
    outcome = reipl(booter, snapshot, BLOCK, directory, again)
    dump, exchange = booter.boots[0][0].disks
    assert (dump.path, dump.lun, dump.read_only, dump.boot) == (
        tmp_path / "disk.img",
        0,
        True,
        False,
    )
    assert (exchange.path, exchange.lun) == (directory / "exchange.img", 2)
    return outcome, directory


def test_a_full_system_collects_its_own_dump(snapshot, tmp_path, again):
    own = "found /dev/sda\nversion zgetdump 2.16\nformat s390\nsize 5\n"
    outcome, directory = collecting(snapshot, tmp_path, again, own, b"12345")
    assert (directory / "dump").read_bytes() == b"12345"
    assert (outcome.own_dump.found, outcome.own_dump.size) == ("/dev/sda", 5)
    assert left(directory)["own_dump"]["version"] == "zgetdump 2.16"
    assert sorted(path.name for path in directory.iterdir()) == ["dump", "outcome.json"]


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ("error zgetdump finds no dump on any disk", "zgetdump finds no dump on any disk"),
        ("found /dev/sda", "its report ends before its end"),
        ("size 9999999999999", "9999999999999 bytes, and the disk for it has 335544320"),
    ],
)
def test_a_copy_that_there_is_not_is_an_outcome(snapshot, tmp_path, again, own, why):
    outcome, directory = collecting(snapshot, tmp_path, again, own)
    assert outcome.own_dump.size is None
    assert why in outcome.own_dump.error
    assert [path.name for path in directory.iterdir()] == ["outcome.json"]


def test_a_system_that_does_not_tell_how_it_is(snapshot, tmp_path, again):
    booter = FakeBooter(shell=FakeShell(condition="no\x1b[31m such thing"))
    with pytest.raises(ProtocolError, match="answer to images/system/condition is: no") as caught:
        reipl(booter, snapshot, BLOCK, tmp_path / "reipl", again)
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    "block",
    [
        fcp_block(OTHER, dump=False),
        fcp_block(DUMP_DISK, dump=False),
        fcp_block(SYSTEM_DISK, dump=True),  # a dump load of the right disk
        b"no block",
    ],
)
def test_another_disk_is_not_loaded(snapshot, tmp_path, block):
    booter = FakeBooter()
    outcome = reipl(booter, snapshot, block, tmp_path / "reipl")
    assert not outcome.loaded
    assert booter.boots == []
    assert left(tmp_path / "reipl") == {"named": outcome.named, "loaded": False}


def test_a_system_without_a_disk_is_not_loaded(snapshot, tmp_path):
    snapshot.system_disk = None
    outcome = reipl(booter := FakeBooter(), snapshot, BLOCK, tmp_path / "reipl")
    assert isinstance(outcome, ReIplOutcome)
    assert not outcome.loaded
    assert booter.boots == []


def test_a_system_that_does_not_come_up_leaves_no_outcome(snapshot, tmp_path):
    booter = FakeBooter(PhaseTimeout("reipl", "the prompt", 3.0))
    with pytest.raises(PhaseTimeout):
        reipl(booter, snapshot, BLOCK, tmp_path / "reipl")
    assert not (tmp_path / "reipl" / OUTCOME).exists()
    assert booter.notes == []
