"""Whatever reads evidence reads a packed run as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.app import app
from harness.errors import EvidenceError
from harness.evidence.names import PACKED
from harness.evidence.pack.pack import pack
from harness.evidence.pack.store import PageStore
from harness.evidence.snapshot import Snapshot
from harness.progress import NoProgress
from harness.run.machines import verify
from harness.verify.evidence import Evidence
from tests.support.evidence import SyntheticRun
from tests.support.runs.crashes import make_crash


def packed(run: Path) -> Path:
    pack(run, PageStore.of_series(run.parents[2]), NoProgress())
    assert (run / PACKED).is_file()
    assert not (run / "crash/ram.img").exists()
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return SyntheticRun().write(tmp_path / "series/0001/runs/one")


def test_it_is_verified_with_the_same_verdict(run):
    before = verify(run)
    assert verify(packed(run)) == before
    assert not (run / "crash/ram.img").exists()


def test_a_wrong_dump_stays_wrong(run):
    with (run / "dump/dump").open("r+b") as file:
        file.seek(-5000, 2)
        file.write(b"wrong")
    before = verify(run)
    assert not before.passed
    assert verify(packed(run)) == before


def test_its_files_are_there_only_meanwhile(run):
    with Evidence.open(packed(run)) as evidence:
        assert evidence.dump is not None
        assert evidence.ram.size == 4 << 20
        assert (run / "crash/ram.img").is_file()
    assert not (run / "crash/ram.img").exists()


def test_damage_is_never_a_verdict(run):
    packed(run)
    for path in (run.parents[2] / "pages/packs").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EvidenceError, match="is damaged"):
        verify(run)


def test_its_crash_is_shown(tmp_path, capsys):
    run = tmp_path / "series/0001/runs/one"
    crash = make_crash(run / "crash")
    with crash.ram_image.open("r+b") as file:
        file.write(b"memory!!" * 10_000)
    Snapshot.create(crash.directory, crash.cpus, crash.machine)
    packed(run)
    app(["snapshot", "show", f"{crash.directory}/", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["memory"] == crash.memory
    assert not crash.ram_image.exists()
