"""The engine, with stored crashes; the crash itself is played."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.dump_tools.table import ZFCPDUMP
from harness.errors import HostError
from harness.evidence.collected import Collected
from harness.evidence.outcome import Outcome
from harness.evidence.snapshot import Snapshot
from harness.images.disk import DISK
from harness.images.kernel.build import Kernel
from harness.images.needs import Wanted
from harness.images.store import Built, Store, sha256
from harness.machine.snapshots import Snapshots
from harness.progress import NoProgress
from harness.qemu.binary import QemuBinary
from harness.report.verdict import Result
from harness.run import engine
from harness.run.inputs.crash import CrashInputs
from harness.run.machines import Machines
from harness.run.plan import Plan
from harness.scenario.load import load
from harness.verify.run_checks import CheckedRun
from tests.support.runs.crashes import make_crash

PLAN = Plan("panic", load("panic"))


class Played:
    """Crashes without a machine; remembers what would have been dumped."""

    def __init__(self, directory: Path) -> None:
        self.crashes = 0
        self.dumped: list[Snapshot] = []
        self.image = directory / "bzImage"
        self.image.write_bytes(b"kernel")
        self.qemu = directory / "qemu"
        self.qemu.write_bytes(b"QEMU")
        self.changes_meanwhile = False

    def inputs(self, *_: object) -> CrashInputs:
        kernel = Kernel(self.image, "6.12", sha256(self.image), "given")
        return CrashInputs(kernel, Built("initramfs", "0" * 20, self.image.parent, {}), None)

    def crash(self, booter: Any, system: Any, how: Any, directory: Path, kernel: Any) -> Snapshot:
        self.crashes += 1
        if self.changes_meanwhile:
            self.image.write_bytes(b"built again")
        return make_crash(directory, kernel=kernel)

    def dump_inputs(self, *_: object) -> SimpleNamespace:
        disk = SimpleNamespace(path=self.image.parent)
        (disk.path / DISK).touch()
        return SimpleNamespace(identity=dict, disk=disk, tool=SimpleNamespace(tool=ZFCPDUMP))

    def dumper(self, *_: object) -> SimpleNamespace:
        def dump(
            snapshot: Snapshot, disk: Any, layout: Any, size: Any, directory: Path, **faults: Any
        ):
            self.dumped.append(snapshot)
            directory.mkdir()
            return SimpleNamespace(to_json=dict, outcome=Outcome.FINISHED, intercepted_by="plugin")

        return SimpleNamespace(dump=dump)

    @property
    def machines(self) -> Machines:
        return Machines(
            hold_plugin=lambda *_: None,
            find_qemu=lambda: QemuBinary(self.qemu, (9, 0, 0)),
            wanted=lambda plan: Wanted(),
            crash_inputs=self.inputs,
            dump_inputs=self.dump_inputs,
            crash=self.crash,
            dumper=self.dumper,
            collect=lambda *_: Collected(None, "nothing"),
            verify=lambda root: CheckedRun(()),
        )


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())


def run(played: Played, output: Path, store: Store, **options: Any):
    machines, progress = played.machines, NoProgress()
    return engine.run(
        PLAN, output=output, store=store, progress=progress, machines=machines, **options
    )


def create(played: Played, store: Store) -> Snapshot:
    machines, progress = played.machines, NoProgress()
    return engine.create_snapshot(PLAN, store=store, progress=progress, machines=machines)


def test_a_run_works_on_its_own_copy_of_the_crash(played: Played, store: Store, tmp_path: Path):
    for name in ("first", "second"):
        run(played, tmp_path / name, store)
    assert played.crashes == 1
    assert [crash.directory for crash in played.dumped] == [
        tmp_path / "first/crash",
        tmp_path / "second/crash",
    ]
    assert len(Snapshots(store).names()) == 1
    assert played.dumped[0].machine["kernel"]["origin"] == "given"


def test_a_fresh_crash_is_not_kept(played: Played, store: Store, tmp_path: Path):
    run(played, tmp_path / "run", store, fresh=True)
    assert Snapshots(store).names() == []


def test_a_created_snapshot_is_made_once_and_is_the_stores(played: Played, store: Store):
    first, second = create(played, store), create(played, store)
    assert played.crashes == 1
    assert first == second
    assert first.directory.parent == store.root / "snapshots"
    assert list((store.root / ".building").iterdir()) == []


def test_another_qemu_makes_another_crash(played: Played, store: Store):
    names = {create(played, store).name}
    played.qemu.write_bytes(b"QEMU, mended")
    names.add(create(played, store).name)
    assert (played.crashes, len(names)) == (2, 2)


def test_a_crash_of_a_kernel_that_changed_is_not_kept(played: Played, store: Store):
    played.changes_meanwhile = True
    with pytest.raises(HostError, match="changed while it was used"):
        create(played, store)
    assert Snapshots(store).names() == []


def test_a_damaged_crash_is_an_error_that_names_the_remedy(
    played: Played, store: Store, tmp_path: Path
):
    stored = create(played, store)
    stored.ram_image.chmod(0o644)
    with stored.ram_image.open("r+b") as ram:
        ram.write(b"rot")
    verdict = run(played, tmp_path / "run", store)
    assert (verdict.result, verdict.phase, played.dumped) == (Result.ERROR, "snapshot", [])
    assert f"the stored crash {stored.name} cannot be used" in str(verdict.error)
    assert f"zharness snapshot remove {stored.name}" in str(verdict.hint)
    Snapshots(store).remove(stored.name)
    assert run(played, tmp_path / "again", store).result is Result.PASS
    assert played.crashes == 2
