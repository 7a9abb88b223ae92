"""The runs of a batch: what each is to do, what it takes, and with whom it shares its crash."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.evidence.directory import directory_names
from harness.run.batch.capacity import tokens
from harness.run.batch.job import RunJob
from harness.run.batch.schedule import Tokens
from harness.run.options import RunOptions
from harness.run.plan import plan_of
from harness.scenario.load import Concrete


@dataclass(frozen=True)
class Item:
    """One run of a batch.

    ``replay`` is the command that runs it again from its evidence, ``again`` the one that does
    without. Items with an equal ``crash`` (None: with no other) share it in the store.
    """

    name: str
    file: Path
    job: RunJob
    tokens: Tokens
    replay: str
    again: str
    crash: Hashable | None = None


class Asked(Protocol):
    """What is asked of all runs, and how to run one again."""

    @property
    def store(self) -> Path: ...

    @property
    def options(self) -> RunOptions: ...

    @property
    def consoles(self) -> bool: ...

    @property
    def time_factor(self) -> float: ...

    def again(self, concrete: Concrete) -> str: ...

    def replay(self, evidence: Path) -> str: ...


def items_of(
    scenarios: Sequence[Concrete],
    asked: Asked,
    *,
    repeat: int,
    evidence: Path,
    room: Tokens,
) -> list[Item]:
    """All scenarios, ``repeat`` times; one round after the other if all take the same memory.

    Each run has a directory of its own in ``evidence``, and takes a part of ``room``.
    """
    named = _repeated(scenarios, repeat)
    directories = directory_names([name for name, _ in named])
    return [
        _item(name, concrete, asked, evidence / directory, room)
        for (name, concrete), directory in zip(named, directories, strict=True)
    ]


def _repeated(scenarios: Sequence[Concrete], times: int) -> list[tuple[str, Concrete]]:
    if times == 1:
        return [(concrete.name, concrete) for concrete in scenarios]
    return [
        (f"{concrete.name}#{number}", concrete)
        for number in range(1, times + 1)
        for concrete in scenarios
    ]


def _item(
    name: str,
    concrete: Concrete,
    asked: Asked,
    output: Path,
    room: Tokens,
) -> Item:
    crashed = concrete.scenario.crashed
    plan = plan_of(concrete.name, concrete.scenario, time_factor=asked.time_factor)
    job = RunJob(plan, output, asked.store, asked.options, consoles=asked.consoles)
    return Item(
        name,
        concrete.path,
        job,
        tokens(crashed.memory, crashed.smp, crashed.workload, room),
        asked.replay(output),
        asked.again(concrete),
        None if asked.options.fresh or plan.needs_own_crash else plan.crash_key(),
    )
