"""The phases of a run as a bar: how much of its time each took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.phase import Phase

WIDTH = 1000
_MOST = 16
_LONGEST = 1e9  # seconds; more is no time
_OTHERS = "others"
_LABEL_WIDTH = 8.0  # of a character


@dataclass(frozen=True)
class Part:
    """A phase that took ``seconds``; ``share`` is between 0 and 1."""

    name: str
    seconds: float
    share: float
    x: float

    @property
    def width(self) -> float:
        return round(self.share * WIDTH, 2)

    @property
    def has_room(self) -> bool:
        """Whether its name fits into the bar."""
        return self.width > _LABEL_WIDTH * (len(self.name) + 2)


def phase_bar(timings: Mapping[str, float]) -> Sequence[Part]:
    """The phases in the order in which a run enters them; at most 16."""
    order = [str(phase) for phase in Phase]
    names = sorted(timings, key=lambda name: order.index(name) if name in order else len(order))
    seconds = {name: min(max(0.0, timings[name]), _LONGEST) for name in names}
    if len(names) > _MOST:
        others = sum(seconds.pop(name) for name in names[_MOST - 1 :])
        seconds[_OTHERS] = others
    total = sum(seconds.values()) or 1.0
    parts = []
    done = 0.0
    for name, took in seconds.items():
        parts.append(Part(name, took, took / total, round(done / total * WIDTH, 2)))
        done += took
    return parts
