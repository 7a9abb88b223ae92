"""Cut the power at many moments of one dump, and look at what is then on the disk.

The dump is written once, and recorded. From the record comes the disk after a cut behind any write.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.evidence.directory import RunDirectory
from harness.evidence.names import COLLECTED, DUMP, OUTCOME, SUPERBLOCK
from harness.evidence.outcome import Outcome
from harness.faults.table import POWER_CUT, fault_of
from harness.files.json_file import read_object
from harness.images.provide import Images
from harness.images.store import Store
from harness.judges.guest import Said
from harness.judges.zgetdump import Zgetdump
from harness.machine.dump_load.power_cut import Record, RecordFiles
from harness.progress import NoProgress, Progress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.machines import collect
from harness.run.plan import Plan
from harness.run.used_disk.editor import CHECKED, E2FSCK_LOG, Editor
from harness.s390x.disk_layout import DiskLayout
from harness.verify.expected_wrong import content_is_right, looks_whole

RECORDED = "recorded"  # the directory of the run
MOST_POINTS = 100_000
_AROUND = (-1, 0, 1)  # writes, at each flush


@dataclass(frozen=True)
class Cut:
    """What was there after a cut behind ``write`` writes: a ``whole`` dump, or none.

    ``verdict`` is FAIL if there was one that looks whole, and is wrong; ``why`` then says more, and
    ``evidence`` is kept. ``zgetdump`` is what zgetdump said of one that is not whole, if it was
    asked; it is a FAIL, too, if it took that for a dump.
    """

    write: int
    seed: int
    whole: bool
    result: Result
    why: str | None = None
    evidence: Path | None = None
    zgetdump: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "write": self.write,
            "seed": self.seed,
            "whole": self.whole,
            "result": self.result.value,
            "why": self.why,
            "evidence": None if self.evidence is None else str(self.evidence),
            "zgetdump": self.zgetdump,
        }


@dataclass(frozen=True)
class Cuts:
    """All cuts of one dump, which made ``writes`` writes and ``flushes`` flushes."""

    writes: int
    flushes: tuple[int, ...]
    cuts: tuple[Cut, ...]

    @property
    def whole(self) -> int:
        """How many left a dump that looks whole."""
        return sum(cut.whole for cut in self.cuts)

    @property
    def failed(self) -> tuple[Cut, ...]:
        return tuple(cut for cut in self.cuts if cut.result is not Result.PASS)

    def to_json(self) -> dict[str, Any]:
        return {
            "writes": self.writes,
            "flushes": list(self.flushes),
            "whole": self.whole,
            "failed": len(self.failed),
            "cuts": [cut.to_json() for cut in self.cuts],
        }


def cut_the_power(
    plan: Plan,
    points: int,
    output: Path,
    store: Store,
    progress: Progress,
    zgetdump: Zgetdump | None = None,
) -> tuple[Verdict, Cuts | None]:
    """Dump once, and cut the power at so many ``points``, in ``output`` (new or empty).

    Half of the cuts lose all that was not flushed; the others keep some of it. There are cuts at
    each flush, too, and one behind the last write. None if the dump itself came to no verdict PASS.
    ``zgetdump`` is asked about each dump that is not whole.

    Raises UsageError if the scenario has faults of its own, or no partition that zgetdump could
    read, and what ``engine.run`` raises.
    """
    if zgetdump is not None and plan.scenario.dump.layout is not DiskLayout.PARTITION:
        raise UsageError(
            f"zgetdump looks at a dump partition, and the layout is {plan.scenario.dump.layout}",
            hint="choose --disk-layout partition",
        )
    if plan.scenario.faults.inject or plan.scenario.dump.disk is not None:
        raise UsageError(
            "power cuts need a scenario without faults, and a dump disk that the harness prepares"
        )
    recorded = output / RECORDED
    verdict = engine.run(
        _with_cut(plan, 1, 0), output=recorded, store=store, progress=progress, keep=True
    )
    if verdict.result is not Result.PASS:
        return verdict, None
    files = RecordFiles(recorded)
    record = files.record()
    cuts, point = [], _Point(plan, output, store, record, files.before, zgetdump)
    chosen = moments(len(record.writes), record.flushes, points)
    with progress.task("cut the power", len(chosen), "times") as task:
        for number, (write, seed) in enumerate(chosen):
            cuts.append(point.cut(write, seed))
            task.update(number + 1)
    RunDirectory(recorded).drop_disk()
    return verdict, Cuts(len(record.writes), record.flushes, tuple(cuts))


def moments(writes: int, flushes: Sequence[int], points: int) -> list[tuple[int, int]]:
    """Behind how many writes the power is cut, and with which seed, in the order of the writes.

    ``points`` of them are even; there are two more around each flush. A seed that is not 0 comes
    only once.
    """
    even = [1 + number * (writes - 1) // max(1, points - 1) for number in range(points)]
    around = {flush + step for flush in flushes for step in _AROUND} - set(even)
    ordered = sorted(write for write in (*even, *around) if 0 < write <= writes)
    chosen = [(write, number if number % 2 else 0) for number, write in enumerate(ordered)]
    return sorted(set(chosen))


def taken_for_whole(said: Said, *, right: bool) -> str | None:
    """What is wrong with zgetdump's opinion of a dump that is not whole; None if nothing is.

    If only the superblock was not written any more, the dump is ``right``, and so is zgetdump.
    """
    if said.status == 0 and not right:
        return f"zgetdump takes it for a whole dump: {said.text}"
    return None


def _with_cut(plan: Plan, write: int, seed: int) -> Plan:
    """The same run, with a power cut."""
    said = f"{POWER_CUT.name}:write={write},seed={seed}"
    faults = plan.scenario.faults.model_copy(update={"inject": (str(fault_of(said)),)})
    return Plan(plan.name, plan.scenario.model_copy(update={"faults": faults}), plan.time_factor)


@dataclass(frozen=True)
class _Point:
    """Makes the evidence of one cut from that of the recorded run."""

    plan: Plan
    output: Path
    store: Store
    record: Record
    before: Path
    zgetdump: Zgetdump | None

    def cut(self, write: int, seed: int) -> Cut:
        recorded = RunDirectory(self.output / RECORDED)
        directory = RunDirectory(self.output / f"write-{write}-seed-{seed}")
        plan = _with_cut(self.plan, write, seed)
        directory.root.mkdir()
        directory.crash.mkdir()
        for path in recorded.crash.iterdir():
            os.link(path, directory.crash / path.name)
        described = read_object(recorded.run)
        directory.write_json(directory.run, {**described, "plan": plan.to_json()})
        directory.dump.mkdir()
        for path in self._of_dump(recorded.dump):
            os.link(path, directory.dump / path.name)
        outcome = read_object(recorded.outcome)
        (fault,) = plan.scenario.faults.inject
        directory.write_json(
            directory.outcome, {**outcome, "outcome": Outcome.POWER_CUT, "faults": {fault: 1}}
        )
        self.record.leave(self.before, directory.disk, write, seed)
        self._collect(directory, plan)
        verdict = engine.verify(directory.root, progress=NoProgress())
        whole, result = looks_whole(verdict.checks), verdict.result
        why = next((str(finding) for finding in verdict.findings), verdict.error)
        said = None
        if self.zgetdump is not None and not whole:
            opinion = self.zgetdump.info(directory.disk, plan.scenario.dump.sector_size)
            said = opinion.text
            if taken := taken_for_whole(opinion, right=content_is_right(verdict.checks)):
                result, why = Result.FAIL, taken
        directory.drop_disk()
        if result is Result.PASS:
            shutil.rmtree(directory.root)
            return Cut(write, seed, whole, result, zgetdump=said)
        return Cut(write, seed, whole, result, why, directory.root, said)

    def _of_dump(self, dump: Path) -> Iterator[Path]:
        """What the dump system left besides the dump, which is different after each cut."""
        others = (DUMP, SUPERBLOCK, COLLECTED, E2FSCK_LOG, OUTCOME)
        yield from (path for path in dump.iterdir() if path.name not in others)

    def _collect(self, directory: RunDirectory, plan: Plan) -> None:
        how, into = plan.scenario.dump, directory.dump
        if how.layout in CHECKED:
            Editor(directory.disk, how.partition, how.sector_size, into / E2FSCK_LOG).check()
        images = Images(self.store, NoProgress())
        collect(directory.disk, how, into, NoProgress(), None, images).save(into)
