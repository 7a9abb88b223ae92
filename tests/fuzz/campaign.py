"""Many inputs for one reader, each made from its number, and a count of the results."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.attempt import Result, attempt
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import Reader


@dataclass
class Tally:
    """``escapes`` has the number of an input, and its result."""

    results: Counter[Result] = field(default_factory=Counter)
    escapes: list[tuple[int, str]] = field(default_factory=list)
    slowest: float = 0.0  # seconds of CPU time

    def row(self, name: str) -> str:
        """A row of the table that the program prints."""
        counts = " | ".join(str(self.results[result]) for result in Result)
        return f"| {name} | {self.results.total()} | {counts} | {self.slowest * 1000:.0f} |"


def input_of(reader: Reader, seed: int, number: int) -> bytes:
    """The input with this number; it is always the same."""
    source = random.Random(f"{seed} {reader.name} {number}")
    return mutated(source.choice(reader.seeds), source)


def campaign(
    reader: Reader,
    seed: int,
    numbers: Iterable[int],
    scratch: Path,
    each: Callable[[], object] = lambda: None,
) -> Tally:
    """Try every input with one of ``numbers``; ``each`` is called before each input."""
    tally, path = Tally(), scratch / "fuzzed.img"
    for number in numbers:
        each()
        data = input_of(reader, seed, number)
        before = time.process_time()
        outcome = attempt(reader.read, data, path)
        tally.slowest = max(tally.slowest, time.process_time() - before)
        tally.results[outcome.result] += 1
        if outcome.result is Result.ESCAPED:
            tally.escapes.append((number, outcome.why))
    return tally
