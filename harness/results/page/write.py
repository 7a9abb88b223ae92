"""Write the report of a series: one HTML file, or a folder with a page for each run.

No page has a script or an external resource. Everything in them that others have written is
escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HostError
from harness.files.atomic import replace_text
from harness.results.nights import Night
from harness.results.page.chosen import INDEX, RUNS, Links, by_scenario, choose_runs
from harness.results.page.index import index_page
from harness.results.page.run_page import run_page

SUFFIX = ".html"  # of a path that is to be one file


def write(path: Path, history: Sequence[Night], known: Mapping[str, str]) -> int:
    """Write the report of ``history`` (oldest night first); returns how many runs have a page.

    ``path`` is a file if it ends in .html, otherwise a folder. Raises HostError.
    """
    try:
        if path.suffix.lower() == SUFFIX:
            replace_text(path, index_page(history, known, Links()))
            return 0
        return _write_folder(path, history, known)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error


def _write_folder(path: Path, history: Sequence[Night], known: Mapping[str, str]) -> int:
    """The index comes last, so its links always lead to pages that are there."""
    (path / RUNS).mkdir(parents=True, exist_ok=True)
    chosen = choose_runs(history)
    together = by_scenario(chosen)
    for run in chosen:
        others = together[run.night.number, run.outcome.name]
        replace_text(path / RUNS / run.file, run_page(run, others))
    replace_text(path / INDEX, index_page(history, known, Links(chosen)))
    return len(chosen)
