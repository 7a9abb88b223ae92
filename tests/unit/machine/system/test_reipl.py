"""The re-IPL of the original system: the disk that is loaded, and the files that it leaves."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness.errors import PhaseTimeout
from harness.evidence.names import OUTCOME
from harness.evidence.outcome import ReIplOutcome
from harness.machine.system.reipl import reipl
from harness.s390x.ipl import FcpDevice, fcp_block
from harness.s390x.wiring import DUMP_DISK, SYSTEM_DISK
from harness.ssh.handshake import Login

BLOCK = fcp_block(SYSTEM_DISK, dump=False)
OTHER = FcpDevice(SYSTEM_DISK.devno, SYSTEM_DISK.wwpn, SYSTEM_DISK.lun + 1)


class FakeBooter:
    """Boots nothing; ``error`` is what happens instead."""

    def __init__(self, error: Exception | None = None) -> None:
        self.boots: list[tuple] = []
        self.notes: list[str] = []
        self.phases = SimpleNamespace(note=self.notes.append)
        self._error = error

    @contextmanager
    def booted(self, spec, directory, system_disk, ipl_block, phase, *, login):
        assert not (directory / OUTCOME).exists(), "it is not over yet"
        self.boots.append((spec, system_disk, ipl_block, phase, login))
        (directory / "system.img").touch()  # the copy that is loaded
        if self._error is not None:
            raise self._error
        yield None


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
    reipl(booter := FakeBooter(), snapshot, BLOCK, tmp_path / "reipl", login)
    assert booter.boots[0][-1] is login


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
