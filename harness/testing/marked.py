"""One test with its marks; the fixtures use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

import pytest

from harness.errors import HarnessError
from harness.evidence.snapshot import Snapshot
from harness.progress import NoProgress
from harness.run import engine
from harness.run.plan import Plan
from harness.testing.crashed_system import CrashedSystem
from harness.testing.dump_run import DumpMachine
from harness.testing.evidence import ItemEvidence
from harness.testing.marks import marked_plan
from harness.testing.settings import Settings


@dataclass(frozen=True)
class MarkedTest:
    """Every method raises HarnessError or a subclass."""

    plan: Plan
    settings: Settings
    evidence: ItemEvidence

    @classmethod
    @contextmanager
    def of(cls, item: pytest.Item) -> Iterator[Self]:
        """For the duration of a test; at its end the evidence is kept or removed."""
        settings = Settings.of(item.config)
        evidence = ItemEvidence(item, keep=settings.keep)
        plan = marked_plan(item)
        try:
            yield cls(plan, settings, evidence)
        finally:
            evidence.settle()

    @contextmanager
    def system(self) -> Iterator[CrashedSystem]:
        """The marked system before its crash."""
        output, store = self.evidence.new_directory("system"), self.settings.open_store()
        on_line = partial(self.evidence.console_line, "crash")
        try:
            with CrashedSystem.booted(self.plan, output, store, on_line) as system:
                yield system
        except HarnessError:
            self.evidence.keep()  # at the end of a test it is too late to report this
            raise

    def crash(self) -> Snapshot:
        """The marked crash: from the store, or new and then stored, or only for this test."""
        if self.settings.fresh:
            with self.system() as system:
                return system.crash()
        return engine.create_snapshot(
            self.plan,
            store=self.settings.open_store(),
            progress=NoProgress(),
            on_line=self.evidence.console_line,
        )

    def dump_machine(self) -> DumpMachine:
        """The machine that dumps as the marks say."""
        return DumpMachine(self.plan, self.settings, self.evidence)
