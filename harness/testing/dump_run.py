"""The dump of a crashed system in a test: the machine that writes it, and its evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.evidence.directory import RunDirectory
from harness.evidence.names import CONSOLE, DUMP
from harness.evidence.snapshot import Snapshot
from harness.progress import NoProgress
from harness.report.check_file import findings_to_json
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.plan import Plan, plan_of_crash
from harness.testing import report
from harness.testing.evidence import ItemEvidence
from harness.testing.settings import Settings


@dataclass(frozen=True)
class Dump:
    """One dump and its verdict. ``judged`` has all details: checks, fidelity, timings.

    The files exist as long as the test runs. If it fails, they are kept.
    """

    judged: Verdict

    @property
    def verdict(self) -> str:
        """``PASS`` or ``FAIL``; a fault of the harness is an exception instead."""
        return str(self.judged.result)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """All findings, as in ``verdict.json``: dictionaries with ``check``, ``kind``,
        ``message`` and ``details``.
        """
        return findings_to_json(self.judged.findings)

    @property
    def directory(self) -> Path:
        """The evidence directory; docs/evidence.md describes its files."""
        return self.judged.directory

    @property
    def console(self) -> str:
        """Everything that the dump system printed, with time stamps."""
        log = RunDirectory(self.directory).dump / CONSOLE
        return log.read_text(encoding="utf-8", errors="replace")

    @property
    def path(self) -> Path:
        """The collected dump; the file does not exist if the dump system wrote none."""
        return RunDirectory(self.directory).dump / DUMP

    def __repr__(self) -> str:
        """The text that pytest shows for a failing ``assert``."""
        return f"<dump: {self.verdict}, {len(self.findings)} findings, {self.directory}>"


@dataclass(frozen=True)
class DumpMachine:
    """Dumps crashes as the marks of one test say: HSA, disk layout, dump kernel, expectations."""

    plan: Plan
    settings: Settings
    evidence: ItemEvidence

    def dump(self, snapshot: Snapshot) -> Dump:
        """IPL the dump system over ``snapshot``, which does not change, and verify the dump.

        Raises HarnessError if the harness or the host is at fault, so there is no verdict. Raises
        UsageError if the marks do not fit the snapshot.
        """
        wanted = self.plan.scenario
        verdict = engine.dump_snapshot(
            snapshot,
            self._plan_of(snapshot),
            output=self.evidence.new_directory("dump"),
            store=self.settings.open_store(),
            progress=NoProgress(),
            keep=self.settings.keep,
            on_line=self.evidence.console_line,
        )
        crash = RunDirectory(verdict.directory).crash
        again = report.dump_again(crash, wanted.dump, self.settings.other_store)
        self.evidence.concluded(str(verdict.result), report.verdict(verdict, again))
        if verdict.result is Result.ERROR:
            raise report.trouble_of(verdict)
        return Dump(verdict)

    def _plan_of(self, snapshot: Snapshot) -> Plan:
        """Take the machine from the snapshot and everything else from the marks."""
        wanted = self.plan.scenario
        # python mode: the values stay as they are and are validated again
        plan = plan_of_crash(snapshot, wanted.dump.model_dump())
        scenario = plan.scenario.model_copy(update={"expect": wanted.expect})
        return replace(plan, name=self.plan.name, scenario=scenario)
