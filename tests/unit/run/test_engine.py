"""The engine with fake machines: the order of the phases, and the result of each error.

Collection, evidence and checks are real; instead of QEMU, a fake writes the files.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import (
    BuildError,
    EvidenceError,
    HarnessError,
    HostError,
    PhaseTimeout,
    ProtocolError,
    QemuDied,
    UsageError,
)
from harness.evidence.outcome import Outcome
from harness.evidence.snapshot import Snapshot
from harness.host.signals import Interrupted
from harness.images.disk import DISK
from harness.machine.dump_load.boot_disk import BootDisk
from harness.machine.signal_hold import SignalsMissed
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.fidelity import statement
from harness.run.plan import Plan
from tests.support.disks.boot_map import add_boot_map
from tests.support.runs.machines import (
    ASKED,
    PlayedMachines,
    evidence,
    journal,
    machines,
    options,
    other,
    plan,
    red,
)

__all__ = ["evidence", "machines", "options"]  # fixtures

IN_ORDER = ["images", "boot", "crash", "snapshot", "ipl", "dump", "collect", "reipl", "verify"]


def fail(error: BaseException) -> Callable[[Path], object]:
    def raise_it(_: Path) -> None:
        raise error

    return raise_it


WITH_REIPL: dict[str, Any] = {"outcome": {"reipl_block": ASKED}, "system_disk": True}
EXPECT_REIPL = {"crashed": {"load": "scsi"}, "expect": {"reipl": True}}


def test_the_phases_are_in_order(machines, options, evidence):
    made = machines(**WITH_REIPL)
    verdict = engine.run(plan(**EXPECT_REIPL), **options)
    assert verdict.result is Result.PASS, verdict.findings
    assert made.calls == ["crash images", "dump images", *IN_ORDER[1:6], "reipl"]
    begun = [line["phase"] for line in journal(evidence) if line["event"] == "begin"]
    assert begun == IN_ORDER
    assert list(verdict.timings) == IN_ORDER
    assert json.loads((evidence / "verdict.json").read_bytes()) == verdict.to_json()
    assert not (evidence / "disk.img").exists()


def test_the_dump_side_is_refused_before_anything_boots(machines, options, evidence):
    made = machines(at={"dump images": fail(UsageError("no such dump kernel"))})
    with pytest.raises(UsageError, match="no such dump kernel"):
        engine.run(plan(), **options)
    assert made.calls == ["crash images", "dump images"]
    assert not evidence.exists()


TROUBLE = {
    "crash images": BuildError("it does not compile"),
    "dump images": HostError("no space left"),
    "boot": PhaseTimeout("boot", "the prompt", 3.0),
    "crash": HarnessError("another death"),
    "snapshot": HostError("no space left"),
    "ipl": QemuDied("QEMU 'dump' ended on its own"),
    "dump": ProtocolError("QEMU stopped without saying why"),
    "reipl": HarnessError("it does not come up"),
}


@pytest.mark.parametrize("at", TROUBLE)
def test_an_exception_is_an_error_in_its_phase(machines, options, evidence, at):
    made = machines(at={at: fail(TROUBLE[at])}, **WITH_REIPL)
    verdict = engine.run(plan(**EXPECT_REIPL), **options)
    phase = "images" if "images" in at else at
    assert (verdict.result, verdict.phase) == (Result.ERROR, phase)
    assert verdict.error == TROUBLE[at].message
    assert made.calls[-1] == at, "nothing comes after it"
    assert json.loads((evidence / "verdict.json").read_bytes()) == verdict.to_json()
    with pytest.raises(EvidenceError):  # verifying again does not make a wrong dump of it
        engine.verify(evidence, progress=NoProgress())


def test_an_exception_in_the_collection_is_an_error(machines, options, evidence):
    def collect(*_: object) -> None:
        raise HostError("debugfs is not installed")

    machines()
    other(options, collect=collect)
    verdict = engine.run(plan(), **options)
    assert (verdict.result, verdict.phase) == (Result.ERROR, "collect")
    with pytest.raises(EvidenceError, match="never collected"):
        engine.verify(evidence, progress=NoProgress())


def test_damaged_evidence_is_an_error(machines, options):
    machines(at={"dump": lambda evidence: (evidence / "crash/cpus.json").unlink()})
    verdict = engine.run(plan(), **options, fresh=True)
    assert (verdict.result, verdict.phase) == (Result.ERROR, "verify")
    assert "cpus.json" in verdict.error


def test_an_unexpected_exception_is_an_error_with_its_traceback(machines, options, evidence):
    machines(at={"crash": fail(RuntimeError("surprise"))})
    verdict = engine.run(plan(), **options)
    assert (verdict.result, verdict.phase) == (Result.ERROR, "crash")
    assert verdict.error == "internal error: RuntimeError: surprise"
    assert str(evidence / "journal.jsonl") in verdict.hint
    (told,) = [line for line in journal(evidence) if line["event"] == "internal error"]
    assert "raise_it" in told["traceback"]
    assert json.loads((evidence / "verdict.json").read_bytes()) == verdict.to_json()


@pytest.mark.parametrize(
    ("error", "name"),
    [(KeyboardInterrupt(), "SIGINT"), (Interrupted(signal.SIGTERM), "SIGTERM")],
)
@pytest.mark.parametrize("phase", ["boot", "dump"])
def test_an_interrupt_leaves_a_verdict_that_says_so(
    machines, options, evidence, error, name, phase
):
    machines(at={phase: fail(error)})
    with pytest.raises(KeyboardInterrupt):
        engine.run(plan(), **options)
    verdict = Verdict.from_json(json.loads((evidence / "verdict.json").read_bytes()), evidence)
    assert (verdict.result, verdict.phase) == (Result.INTERRUPTED, phase)
    assert (verdict.error, verdict.cause) == (f"interrupted by {name}", name)
    assert verdict.inputs
    assert not (evidence / "disk.img").exists()
    assert journal(evidence)[-1]["why"] == type(error).__name__


def test_a_verdict_that_cannot_be_kept_is_an_error(machines, options):
    machines(at={"dump": lambda evidence: (evidence / "verdict.json").mkdir()})
    verdict = engine.run(plan(), **options)
    assert verdict.result is Result.ERROR
    assert "verdict.json cannot be written" in verdict.error


def no_disk_any_more(evidence: Path) -> None:
    with (evidence / "disk.img").open("r+b") as disk:
        disk.write(bytes(2 << 20))


def no_superblock_any_more(evidence: Path) -> None:
    with (evidence / "disk.img").open("r+b") as disk:
        disk.seek(-4096, 2)
        disk.write(b"overwritten" * 100)


def no_file_system_any_more(evidence: Path) -> None:
    with (evidence / "disk.img").open("r+b") as disk:
        disk.seek(1 << 20)
        disk.write(b"\xee" * 65536)


@pytest.mark.parametrize(
    ("layout", "wreck", "said"),
    [
        ("partition", no_disk_any_more, "disk.img: offsets 0 and 0x70 hold"),
        ("partition", no_superblock_any_more, "the superblock's magic is 0x6f76"),
        ("ext4", no_disk_any_more, "disk.img: offset 510: no DOS partition table"),
        ("ext4", no_file_system_any_more, "Bad magic number in super-block"),
        ("ext4", lambda _: None, "no file dump.N in / of partition 1"),
    ],
)
def test_a_disk_that_the_dump_system_wrecked_is_a_wrong_dump(
    machines, options, evidence, layout, wreck, said
):
    machines(layout=layout, at={"dump": wreck})
    verdict = engine.run(plan(dump={"layout": layout}), **options)
    assert (verdict.result, verdict.phase) == (Result.FAIL, "verify")
    assert {"dump-file", "pages"} <= red(verdict)
    assert ("superblock" in red(verdict)) == (layout == "partition")
    (finding,) = [each for each in verdict.findings if each.check == "dump-file"]
    assert said in finding.message
    again = engine.verify(evidence, progress=NoProgress())
    assert again.to_json() == verdict.to_json() | {"phase": again.phase}


def unprepared(disk: Path) -> Path:
    with disk.open("r+b") as file:
        file.write(bytes(512))
    return disk


@pytest.mark.parametrize(
    ("zipl", "result", "phase"), [(None, Result.ERROR, "ipl"), ("sid", Result.FAIL, "dump")]
)
def test_a_disk_that_is_not_loaded_is_a_fault_of_the_zipl_that_is_under_test(
    machines, options, evidence, zipl, result, phase
):
    made = machines(at={"ipl": lambda evidence: BootDisk(evidence / "disk.img")})
    unprepared(made.prepared / "disk.img")
    verdict = engine.run(plan(dump={"zipl": zipl}), **options)
    assert (verdict.result, verdict.phase) == (result, phase)
    if zipl is None:
        assert "no zIPL boot record in block 0" in str(verdict.error)
        return
    (finding,) = [each for each in verdict.findings if each.check == "outcome"]
    assert finding.message.startswith(
        "the dump system did not finish: not-loaded; the disk of sid: no zIPL boot record in "
        "block 0; sid: "
    )
    assert "dump-file" in red(verdict)
    assert engine.verify(evidence, progress=NoProgress()).result is Result.FAIL


@pytest.mark.parametrize(
    ("damage", "result"), [(unprepared, Result.FAIL), (lambda disk: disk, Result.ERROR)]
)
def test_a_load_without_an_end_is_a_fault_of_a_damaged_boot_map_alone(
    machines, options, damage, result
):
    made = machines(at={"ipl": fail(PhaseTimeout("ipl", "the boot firmware", 3.0))})
    add_boot_map(made.prepared / "disk.img", "root=/dev/ram0", dump=True)
    damage(made.prepared / "disk.img")
    assert engine.run(plan(dump={"zipl": "sid"}), **options).result is result


def test_verifying_again_needs_no_verdict(machines, options, evidence):
    machines()
    verdict = engine.run(plan(), **options)
    (evidence / "verdict.json").unlink()
    again = engine.verify(evidence, progress=NoProgress())
    assert (again.result, again.checks) == (verdict.result, verdict.checks)
    assert (again.fidelity, again.inputs) == (verdict.fidelity, verdict.inputs)
    scenario = plan().scenario
    told = statement(scenario.crashed.load, plan().crash.trigger, intercepted_by="gdbstub")
    assert again.fidelity == told
    assert not (evidence / "verdict.json").exists(), "changes nothing"


def test_no_re_ipl_if_nobody_expects_it(machines, options):
    made = machines(**WITH_REIPL)
    verdict = engine.run(plan(), **options)
    assert "reipl" not in made.calls
    assert red(verdict) == {"reipl"}


@pytest.mark.parametrize(("works", "result"), [(True, Result.FAIL), (False, Result.ERROR)])
def test_a_re_ipl_that_is_not_asked_for(machines, options, evidence, works, result):
    machines(system_disk=True)
    other(options, vector_checksum_works=lambda *_: works)
    verdict = engine.run(plan(**EXPECT_REIPL), **options)
    assert verdict.result is result
    if works:
        assert engine.verify(evidence, progress=NoProgress()).result is Result.FAIL
    else:
        assert "VECTOR CHECKSUM" in verdict.error
        with pytest.raises(EvidenceError, match="VECTOR CHECKSUM"):
            engine.verify(evidence, progress=NoProgress())


def test_a_failed_dump_system_is_not_blamed_on_qemu(machines, options):
    machines(outcome={"outcome": Outcome.PANICKED}, system_disk=True)
    other(options, vector_checksum_works=lambda *_: False)
    verdict = engine.run(plan(**EXPECT_REIPL), **options)
    assert (verdict.result, verdict.phase) == (Result.FAIL, "dump")


def runs_twice(made: PlayedMachines, of: Plan, options: dict[str, Any], tmp_path: Path) -> Verdict:
    engine.run(of, **options)
    made.calls.clear()
    return engine.run(of, **options | {"output": tmp_path / "second"})


def test_a_crash_is_made_once(machines, options, tmp_path):
    made = machines()
    verdict = runs_twice(made, plan(), options, tmp_path)
    assert verdict.result is Result.PASS
    assert "crash" not in made.calls
    assert verdict.inputs["snapshot"].startswith("sysrq-c-")
    described = json.loads((tmp_path / "second/run.json").read_bytes())
    assert described["inputs"] == verdict.inputs


def test_a_time_limit_needs_the_boot_of_the_same_run(machines, options, tmp_path):
    made = machines()
    verdict = runs_twice(made, plan(expect={"time_limit": 9.0}), options, tmp_path)
    assert verdict.result is Result.PASS
    assert "boot" in made.calls
    assert "snapshot" not in verdict.inputs


def test_a_time_limit_is_refused_for_a_stored_crash(machines, options, evidence):
    made = machines()
    stored = Snapshot.open(made.model / "crash")
    with pytest.raises(UsageError, match="time limit"):
        engine.dump_snapshot(stored, plan(expect={"time_limit": 9.0}), **options)
    assert not evidence.exists()


def test_a_stored_crash_is_dumped(machines, options, evidence):
    made = machines()
    stored = Snapshot.open(made.model / "crash")
    verdict = engine.dump_snapshot(stored, plan(), **options, keep=True)
    assert verdict.result is Result.PASS
    assert made.calls == ["dump images", "ipl", "dump"]
    assert verdict.inputs["snapshot"] == "crash"
    assert "crashed kernel" not in json.loads((evidence / "run.json").read_bytes())["inputs"]
    assert (evidence / "disk.img").stat().st_size == (made.prepared / DISK).stat().st_size


def test_a_crash_alone_is_kept(machines, options, tmp_path):
    made = machines()
    del options["output"]
    snapshot = engine.create_snapshot(plan(), **options)
    assert snapshot.directory.is_relative_to(tmp_path / "store/snapshots")
    assert made.calls == ["crash images", "boot", "crash", "snapshot"]
    assert engine.create_snapshot(plan(), **options).name == snapshot.name
    assert made.calls == ["crash images", "boot", "crash", "snapshot", "crash images"]


def test_a_fault_that_the_dump_system_never_came_to_is_an_error(machines, options):
    machines(outcome={"faults": {"sdias-not-accepted:request=3": 1}})
    asked = plan(faults={"inject": [f"sdias-not-accepted:request={at}" for at in (3, 7)]})
    verdict = engine.run(asked, **options)
    assert verdict.result is Result.ERROR
    assert "the fault sdias-not-accepted:request=7 did not happen" in verdict.error
    assert "it made 6 SDIAS requests" in verdict.error


def test_a_dump_system_that_fails_before_a_fault_is_not_an_error(machines, options):
    machines(outcome={"outcome": Outcome.FAILED})
    verdict = engine.run(plan(faults={"inject": ["sdias-not-accepted:request=7"]}), **options)
    assert verdict.result is Result.FAIL


def test_a_dump_in_which_signals_may_be_missed_starts_again_without_the_plugin(
    machines, options, evidence, tmp_path
):
    given: list[Path | None] = []

    def miss(evidence: Path) -> None:
        (evidence / "disk.img").write_bytes(b"half a dump")
        if given[-1] is not None:
            raise SignalsMissed("the dump system has moved its interruption handler")

    made = machines(at={"dump": miss})

    def dumper(*what: Any) -> Any:
        given.append(what[-1])
        if what[-1] is None:
            del made.at["dump"]
        return made.dumper(*what)

    other(options, dumper=dumper, hold_plugin=lambda *_: tmp_path / "hold.so")
    verdict = engine.run(plan(), **options)
    assert verdict.result is Result.PASS, verdict.to_json()
    assert given == [tmp_path / "hold.so", None]
    assert made.calls.count("crash") == 1, "the same crash"
    (again,) = [each for each in journal(evidence) if each["event"].startswith("dump again")]
    assert "moved its interruption handler" in again["why"]
