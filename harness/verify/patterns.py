"""A time limit for regular expressions of others: a scenario's, and those of a dump tool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import EvidenceError
from harness.host.cpu_time import cpu_time_limit

SECONDS = 10.0  # of CPU time, for all patterns of a check


@contextmanager
def time_to_match(whose: str = "expect") -> Iterator[None]:
    """For a ``with`` block in the main thread that matches the patterns of ``whose``.

    Raises EvidenceError after 10 s of CPU time: a few characters of a pattern can make its search
    last for years.
    """
    too_long = EvidenceError(
        f"run.json: the patterns of {whose} were not matched to their end in {SECONDS:.0f} s",
        hint="a repetition within a repetition takes this long: write simpler patterns",
    )
    with cpu_time_limit(SECONDS, too_long):
        yield
