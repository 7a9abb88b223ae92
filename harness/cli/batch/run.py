"""Many runs from the command line: from scenarios and options to a report."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.cli import options
from harness.cli.batch.hosts import Hosts, hosts
from harness.cli.say import say_json
from harness.evidence.directory import RunDirectory
from harness.host.paths import default_store
from harness.host.signals import Interrupted
from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Verdict
from harness.run.batch.capacity import capacity, largest, usable_cpus
from harness.run.batch.directory import batch_directory, require_same
from harness.run.batch.items import items_of
from harness.run.batch.loop import run_batch
from harness.run.options import RunOptions
from harness.run.plan import rooted_source
from harness.scenario.assignment import assignment
from harness.scenario.load import Concrete
from harness.scenario.model import OPTIONS
from harness.scenario.options import FieldOption
from harness.scenario.select import word_for


@dataclass(frozen=True)
class Chosen:
    """Options that apply to every run; ``overrides`` are by section and field.

    ``memory_on_disk`` is for a run alone.
    """

    overrides: Mapping[str, Mapping[str, Any]]
    store: Path
    options: RunOptions
    time_factor: float = 1.0
    consoles: bool = False
    json: bool = False
    memory_on_disk: bool = False

    def again(self, concrete: Concrete) -> str:
        """The command that runs this scenario with these options."""
        command = ["zharness", "run", word_for(concrete), *self._overrides(), *self._common()]
        if self.time_factor != 1.0:
            command += ["--time-factor", f"{self.time_factor:g}"]
        return shlex.join(command)

    def replay(self, evidence: Path) -> str:
        """The command that repeats the run in ``evidence``."""
        return shlex.join(["zharness", "replay", str(evidence.absolute()), *self._common()])

    def _overrides(self) -> Iterator[str]:
        for option in OPTIONS:
            value = self.overrides.get(option.section, {}).get(option.field)
            if value is not None:
                yield from option.words(value, partial(_word, option))
        with_option = {option.key for option in OPTIONS}
        for section, fields in self.overrides.items():
            for field, value in fields.items():
                if value is not None and (section, field) not in with_option:
                    yield from ("--set", assignment(section, field, value))

    def _common(self) -> Iterator[str]:
        if self.store.absolute() != default_store().absolute():
            yield from ("--store", str(self.store.absolute()))
        if self.options.fresh:
            yield "--fresh"
        if self.options.keep:
            yield "--keep"
        if self.options.judges:
            yield "--judges"
        if self.memory_on_disk:
            yield "--memory-on-disk"


def _word(option: FieldOption, value: object) -> str:
    word = str(value)
    return rooted_source(word) if option.names_path(word) else word


def run_all(
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    evidence: Path,
    *,
    hosts: Hosts,
    repeat: int = 1,
    fail_fast: bool = False,
    junit: Path | None = None,
    resume: bool = False,
    save: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Run all scenarios, and show the progress. The evidence goes to the directory ``evidence``.

    ``save`` gets the report as far as it is, soon after a run has ended, and at the end. Raises
    UsageError and HostError if the batch cannot be run at all.
    """
    from harness.cli.batch.display import display_for
    from harness.cli.batch.report_files import ReportFiles

    rooms = hosts.rooms()
    room = largest(rooms)
    items = items_of(scenarios, chosen, repeat=repeat, evidence=evidence, room=room)
    slots = min(sum(room.cpus for room in rooms.values()), len(items))
    with batch_directory(evidence, items, resume=resume) as kept:
        files = ReportFiles(evidence, junit)

        def save_all(report: Report) -> bool:
            if not files.save(report):
                return False
            save(report)
            return True

        with display_for(len(items), slots, json=chosen.json, verbose=chosen.consoles) as display:
            report = run_batch(
                items,
                rooms,
                display,
                hosts.start,
                fail_fast=fail_fast,
                kept=kept,
                save=save_all,
            )
        files.write(report)
        save(report)
    return report


def require_same_request(scenarios: Sequence[Concrete], chosen: Chosen, evidence: Path) -> None:
    """Raises UsageError if the batch in ``evidence`` was begun with another request.

    A batch that was not begun yet can have any.
    """
    items = items_of(scenarios, chosen, repeat=1, evidence=evidence, room=capacity(usable_cpus()))
    require_same(evidence, items)


def run_many(
    scenarios: Sequence[Concrete],
    chosen: Chosen,
    *,
    output: Path | None,
    jobs: int | None,
    repeat: int,
    fail_fast: bool,
    junit: Path | None,
    resume: bool = False,
    cluster: str | None = None,
    show: bool = True,
) -> int:
    """Run all scenarios, show the progress and, with ``show``, the report; returns the exit code.

    Raises KeyboardInterrupt after the finished runs have been shown; UsageError and HostError if
    the batch cannot be run at all.
    """
    from harness.cli.show.verdict import show_report
    from harness.report import junit as junit_xml

    with hosts(cluster, jobs) as chosen_hosts:
        report = run_all(
            scenarios,
            chosen,
            options.output_path(output, "batch").absolute(),
            hosts=chosen_hosts,
            repeat=repeat,
            fail_fast=fail_fast,
            junit=junit,
            resume=resume,
        )
    try:
        if chosen.json and show and not report.interrupted:
            say_json(report.to_json())
        elif show or report.interrupted:
            show_report(report, stderr=report.interrupted is not None)
    finally:  # as for a single run
        if junit is not None:
            junit_xml.write(report, junit)
    if report.interrupted is not None:  # now the signal may have its usual effect
        signal.raise_signal(report.interrupted)
        raise Interrupted(report.interrupted)
    return int(report.exit_code)


def report_of_one(concrete: Concrete, verdict: Verdict, chosen: Chosen) -> Report:
    """The report of a single run; its time is the sum of its phases."""
    evidence = RunDirectory(verdict.directory)
    replay = chosen.replay(evidence.root) if evidence.run.is_file() else chosen.again(concrete)
    seconds = sum(verdict.timings.values())
    run = ReportedRun(concrete.name, concrete.path, evidence.root, replay, seconds, verdict)
    return Report((run,), seconds)
