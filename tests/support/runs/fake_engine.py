"""Replaces ``harness.run.engine`` in tests in which nothing must run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.evidence.snapshot import Snapshot
from harness.report.verdict import Result, Verdict
from harness.run.plan import Plan
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind
from tests.support.cpus import make_cpu

FINDING = Finding("pages", FindingKind.UNREADABLE, "page 0x3000 differs")


def verdict(result: str, directory: Path, findings: int = 2) -> Verdict:
    pages = CheckResult("pages", 1, "pages", (FINDING,) * findings if result == "FAIL" else ())
    if result == "ERROR":
        return Verdict(Result.ERROR, directory, phase="boot", error="it is broken", hint="mend it")
    return Verdict(
        Result(result), directory, phase=None if result == "PASS" else "verify", checks=(pages,)
    )


@dataclass
class FakeEngine:
    """Replaces ``harness.run.engine``; ``result`` may be an exception."""

    snapshots: Path
    result: str | BaseException = "PASS"
    plans: list[Plan] = field(default_factory=list)
    options: list[dict] = field(default_factory=list)

    def run(self, plan, *, output, store, on_line, progress, **options):
        assert not any(output.iterdir())
        self.plans.append(plan)
        self.options.append({**options, "store": store.root})
        on_line("crash", "the last words")
        if isinstance(self.result, UsageError):
            output.rmdir()
        if isinstance(self.result, BaseException):
            raise self.result
        (output / "dump").mkdir()
        (output / "dump/console.log").write_text("dumping\n")
        return verdict(self.result, output)

    def dump_snapshot(self, snapshot, plan, **options):
        return self.run(plan, **options)

    def create_snapshot(self, plan, *, store, progress, on_line):
        self.plans.append(plan)
        crashed = plan.scenario.crashed
        directory = self.snapshots / f"crash-{len(self.plans)}"
        directory.mkdir(parents=True)
        with (directory / "ram.img").open("wb") as ram:
            ram.truncate(crashed.memory)
        (directory / "console.log").write_text("kernel BUG at\n")
        machine = {
            "memory": crashed.memory,
            "cpu_model": crashed.cpu_model,
            "trigger": crashed.trigger,
            "created": "2024-01-01",
        }
        cpus = tuple(make_cpu(number) for number in range(crashed.smp))
        return Snapshot.create(directory, cpus, machine)
