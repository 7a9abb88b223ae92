"""One kind of fault at many places of the same scenario, and the smallest place that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.dump.disk.zipl_superblock import SUPERBLOCK_BLOCK, Superblock
from harness.errors import FaultNotReached, UsageError
from harness.evidence.collected import Collected
from harness.evidence.directory import RunDirectory
from harness.evidence.names import REPORT, SUPERBLOCK, VERDICT
from harness.faults.fault import Fault, FaultKind, Place
from harness.files.json_file import read_object
from harness.files.plain_file import is_there, read_plain
from harness.report.verdict import Result
from harness.s390x.zipl import BLOCK_SIZE

MOST_PLACES = 5000
FILE = "sweep.toml"
_STEP = {Place.OFFSET: BLOCK_SIZE}  # between two places of a kind; else 1


@dataclass(frozen=True)
class Sweep:
    """``kind`` at ``first`` and then ``every`` so far, up to ``last`` (included)."""

    kind: FaultKind
    place: Place
    first: int
    every: int
    last: int

    @classmethod
    def of(cls, kind: FaultKind, first: int | None, every: int, last: int) -> Sweep:
        """Raises UsageError, in words for the user."""
        if not kind.when:
            raise UsageError(f"the fault {kind.name} has no place, so there is nothing to sweep")
        place = kind.when[0]
        step = _STEP.get(place, 1)
        start = every if first is None else first
        if every < 1 or every % step or start % step or start > last:
            raise UsageError(
                f"a sweep of {kind.name} from {start} to {last} every {every} has no places: "
                f"{place} is a multiple of {step}"
            )
        if (last - start) // every >= MOST_PLACES:
            raise UsageError(f"more than {MOST_PLACES} places", hint="choose a larger --every")
        return cls(kind, place, start, every, last)

    @property
    def places(self) -> range:
        return range(self.first, self.last + 1, self.every)

    def fault(self, at: int) -> str:
        """The fault at this place, as it is written."""
        return str(Fault(self.kind, {self.place: at}))

    def scenario(self, base: str) -> str:
        """The text of a scenario file that runs ``base`` (name or path) at all places."""
        lines = [f"    [{json.dumps(self.fault(at))}]," for at in self.places]
        return "\n".join(
            (
                f"description = {json.dumps(f'{self.kind.name} at many places')}",
                f"extends = {json.dumps(base)}",
                "",
                "[matrix]",
                "inject = [",
                *lines,
                "]",
                "",
            )
        )

    def smallest(self, failed: int, passes: Callable[[int], bool]) -> int:
        """The smallest place above the last one that passed before ``failed``, if all between
        behave alike; ``passes`` runs the scenario at a place.
        """
        step = _STEP.get(self.place, 1)
        low = max(failed - self.every, self.first - self.every)
        high = failed
        while high - low > step:
            middle = low + (high - low) // 2 // step * step
            if middle > 0 and not passes(middle):
                high = middle
            else:
                low = middle
        return high


class At(StrEnum):
    """What was found at one place."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    ERROR = "ERROR"
    NOT_REACHED = "not reached"  # the dump system did nothing there
    NOT_RUN = "not run"


def results(directory: Path, names: Mapping[int, str]) -> dict[int, At]:
    """What a finished batch in ``directory`` found at each place; ``names`` are its scenarios.

    Raises EvidenceError if its report is damaged.
    """
    runs = read_object(directory / REPORT).get("runs", [])
    found = {str(run.get("name")): run for run in runs}
    return {at: _found(found.get(name), directory) for at, name in names.items()}


def _found(run: Mapping[str, Any] | None, batch: Path) -> At:
    verdict = "" if run is None else str(run.get("verdict"))
    if run is None or verdict not in At.__members__:
        return At.NOT_RUN
    if verdict == Result.ERROR:
        path = batch / Path(str(run.get("directory"))).name / VERDICT
        if is_there(path) and read_object(path).get("cause") == FaultNotReached.__name__:
            return At.NOT_REACHED
    return At(verdict)


def last_place(place: Place, whole: RunDirectory) -> int:
    """The last place that the dump in ``whole``, a run without faults, certainly came to.

    Raises EvidenceError if its evidence is damaged, UsageError if the place is of another kind.
    """
    if place is Place.REQUEST:
        return int(read_object(whole.outcome)["sdias_requests"])
    if place is not Place.OFFSET:
        raise UsageError(f"where the places of {place} end is not known", hint="say --until")
    collected = Collected.load(whole.dump)
    if collected.superblock_offset is None:  # a file system: anywhere
        return whole.disk.stat().st_size - BLOCK_SIZE
    start = Superblock.parse(read_plain(whole.dump / SUPERBLOCK, SUPERBLOCK_BLOCK)).dump_start
    return (start + (collected.size or 0)) // BLOCK_SIZE * BLOCK_SIZE - BLOCK_SIZE
