"""Fake machines without QEMU: they only put the files of a run in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.dump_tools.table import ZFCPDUMP
from harness.evidence.collected import Collected
from harness.evidence.outcome import DumpOutcome, Outcome
from harness.evidence.snapshot import Snapshot
from harness.images.needs import Wanted
from harness.images.store import Store
from harness.phase import Phase
from harness.progress import NoProgress
from harness.qemu.binary import QemuBinary
from harness.report.verdict import Verdict
from harness.run.machines import Machines
from harness.run.plan import Plan
from harness.s390x.cpu import CpuState
from harness.scenario.model import Scenario
from tests.support.disks.dump_partition import disk_with
from tests.support.disks.ext import make_disk
from tests.support.evidence import CONSOLE, SyntheticRun, stored, timed, vmcore

MACHINE = {"cpu_model": "max", "trigger": "sysrq-c", "created": "2024-01-01T00:00:00+00:00"}
BOOT = "zharness: boot {} from its own disk"
ASKED = "00"  # an IPL parameter block


def plan(**sections: Any) -> Plan:
    return Plan("test", Scenario.model_validate({"description": "x", **sections}))


def describe(crash: Path) -> Snapshot:
    """Make a snapshot from the files of a crash."""
    machine = json.loads((crash / "machine.json").read_text())
    cpus = json.loads((crash / "cpus.json").read_text())["cpus"]
    return Snapshot.create(crash, tuple(CpuState.from_json(cpu) for cpu in cpus), machine)


@dataclass
class PlayedMachines:
    """Plays every machine. ``at`` has actions for the end of a phase, instead of success."""

    home: Path
    layout: str = "partition"
    outcome: dict[str, Any] = field(default_factory=dict)
    system_disk: bool = False
    at: dict[str, Callable[[Path], object]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        run = SyntheticRun(machine=dict(MACHINE), crash_console=(BOOT.format(1),))
        self.model = run.write(self.home / "model")
        describe(self.model / "crash")
        self.elf = vmcore(run.dumped_memory(), [stored(cpu) for cpu in run.cpus])
        self.prepared = self.home / "prepared"
        self.prepared.mkdir()
        if self.layout == "partition":
            disk_with(self.prepared, self.elf)
        else:
            make_disk(self.prepared, self.layout)

    def crash_inputs(self, images: object, plan: Plan) -> SimpleNamespace:
        self._happens("crash images")
        return SimpleNamespace(
            identity=lambda: {"crashed kernel": {"version": "k"}},
            digests=lambda binary: {"kernel": "k", "qemu": binary.identity()},
            kernel=SimpleNamespace(identity=lambda: "k", require_unchanged=lambda: None),
            bootable=lambda plan: None,
            crash=lambda plan: plan.crash,
            login=None,
        )

    def dump_inputs(self, images: object, plan: Plan) -> SimpleNamespace:
        self._happens("dump images")
        disk = SimpleNamespace(path=self.prepared)
        tool = SimpleNamespace(tool=ZFCPDUMP)
        return SimpleNamespace(
            identity=lambda: {"dump kernel": {"release": "d"}}, disk=disk, tool=tool
        )

    def crash(self, booter, system, how, directory, kernel) -> Snapshot:
        for phase in ("boot", "crash", "snapshot"):
            with booter.phases.phase(Phase(phase)):
                if phase == "snapshot":
                    shutil.copytree(self.model / "crash", directory)
                    if self.system_disk:
                        (directory / "system.img").touch()
                    snapshot = describe(directory)
                self._happens(phase, directory.parent)
        return snapshot

    def dumper(
        self, binary, phases, stall_seconds, on_line, tool, keeper, plugin
    ) -> SimpleNamespace:
        def dump(
            snapshot, disk, layout, hsa_size, directory, faults, replies, request
        ) -> DumpOutcome:
            directory.mkdir()
            (directory / "console.log").write_text(timed(CONSOLE))
            for phase in ("ipl", "dump"):
                with phases.phase(Phase(phase)):
                    self._happens(phase, directory.parent)
            given = {
                "outcome": Outcome.FINISHED,
                "result_line": CONSOLE[-1],
                "layout": layout.value,
                "hsa_size": 1 << 20,
                "hsa_released": True,
                "sdias_requests": 6,
                "refused_after_release": 0,
                "status_stored": (1,),
                "old_memory_restored": 0,
                "reipl_block": None,
                "seconds": 5.0,
            }
            return DumpOutcome(**(given | self.outcome))

        return SimpleNamespace(dump=dump)

    def reipl(self, booter, snapshot, block, directory, login) -> None:
        assert block == bytes.fromhex(ASKED)
        assert Collected.load(directory.parent / "dump"), "the dump first: this may fail"
        with booter.phases.phase(Phase.REIPL):
            directory.mkdir()
            (directory / "console.log").write_text(timed([BOOT.format(2)]))
            self._happens("reipl", directory.parent)
        (directory / "outcome.json").write_text('{"named": "x", "loaded": true}')

    def _happens(self, phase: str, evidence: Path | None = None) -> None:
        self.calls.append(phase)
        if phase in self.at:
            self.at[phase](evidence)


@pytest.fixture
def machines(tmp_path, options):
    """Make played machines, and pass them with the other ``options``."""

    def make(**what: Any) -> PlayedMachines:
        played = PlayedMachines(tmp_path, **what)
        qemu = tmp_path / "qemu"
        qemu.touch()
        options["machines"] = Machines(
            hold_plugin=lambda *_: None,
            find_qemu=lambda: QemuBinary(qemu, (7, 2, 0)),
            wanted=lambda plan: Wanted(),
            crash_inputs=played.crash_inputs,
            dump_inputs=played.dump_inputs,
            crash=played.crash,
            dumper=played.dumper,
            reipl=played.reipl,
        )
        return played

    return make


@pytest.fixture
def evidence(tmp_path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def options(tmp_path, evidence) -> dict[str, Any]:
    return {
        "output": evidence,
        "store": Store(tmp_path / "store", NoProgress()),
        "progress": NoProgress(),
    }


def other(options: dict[str, Any], **machines: Any) -> None:
    """Replace some of the machines."""
    options["machines"] = replace(options["machines"], **machines)


def journal(evidence: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (evidence / "journal.jsonl").read_text().splitlines()]


def red(verdict: Verdict) -> set[str]:
    return {check.check for check in verdict.checks if not check.passed}
