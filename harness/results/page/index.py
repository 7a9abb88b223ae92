"""The index: the last night, what changed, a grid of all nights, flaky scenarios, the trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.results.nights import Alike, Night, alike, changes
from harness.results.page.chosen import Link, Links
from harness.results.page.grid import grid, tables
from harness.results.page.template import render
from harness.results.page.trend_plot import plot
from harness.results.statistics import flakes, trend

TEMPLATE = "index.html.jinja"


def index_page(history: Sequence[Night], known: Mapping[str, str], links: Links) -> str:
    """The page of ``history`` (oldest night first), with ``links`` to the pages of runs."""
    now = history[-1]
    found = changes(history, known)
    return render(
        TEMPLATE,
        now=now,
        history=history,
        changes=[(together, _linked(together, now, links)) for together in alike(found)],
        grid=grid(history, links),
        tables=list(tables(now, links)),
        flakes=flakes(history),
        plot=plot(trend(history)),
    )


def _linked(together: Alike, now: Night, links: Links) -> list[tuple[str, Sequence[Link]]]:
    """The name of each scenario, with links to the pages of its runs."""
    return [
        (each.name, links.of(now, each.outcome) if each.outcome else [])
        for each in together.changes
    ]
