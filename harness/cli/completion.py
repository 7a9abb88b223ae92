"""What a shell completes: names in the scenarios, in the store and in the database, and paths.

Each takes the beginning of a word, and returns the words that begin with it. What cannot be read
has no names. Nothing is made or changed, and no server is asked.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from harness.errors import HarnessError
from harness.evidence.names import RUN
from harness.host.paths import default_results, default_runs, default_store

_SHOWN_RUNS = 20


def scenario(incomplete: str) -> list[str]:
    """Names and files of scenarios; behind the name of a matrix, its cells."""
    from harness.scenario.load import SUFFIX, load_all, scenario_files, split_cell

    if "[" in incomplete:
        of = split_cell(incomplete)[0].partition("[")[0]
        try:
            names = [each.name for each in load_all(of)]
        except HarnessError:
            return []
        stem = Path(of).stem if of.endswith(SUFFIX) else of
        cells = [f"{of}{name.removeprefix(stem)}" for name in names]
        return [cell for cell in cells if cell.startswith(incomplete)]
    names = [name for name in scenario_files() if name.startswith(incomplete)]
    return names + _paths(incomplete, SUFFIX)


def snapshot(incomplete: str) -> list[str]:
    from harness.images.store import Store
    from harness.machine.snapshots import Snapshots
    from harness.progress import NoProgress

    try:
        names = Snapshots(Store(default_store(), NoProgress())).names()
    except HarnessError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def image(incomplete: str) -> list[str]:
    from harness.images.store import Store
    from harness.progress import NoProgress

    try:
        return [found.name for found in Store(default_store(), NoProgress()).find(incomplete)]
    except HarnessError:
        return []


def kernel(incomplete: str) -> list[str]:
    """Kernels in the store, and paths."""
    return [name for name in image(incomplete) if name.startswith("kernel-")] + _paths(incomplete)


def patch(incomplete: str) -> list[str]:
    """Patches that come with the harness, and files."""
    from harness.images.kernel.spec import PATCH_SUFFIX, own_patches

    names = [name for name in own_patches() if name.startswith(incomplete)]
    return names + _paths(incomplete, PATCH_SUFFIX)


def series(incomplete: str) -> list[str]:
    """Names of series in the default database, if it is a file."""
    place = default_results()
    if "://" in place:
        return []
    only_read = f"{Path(place).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(only_read, uri=True)) as file:
            rows = file.execute("SELECT DISTINCT series FROM batches ORDER BY series").fetchall()
    except sqlite3.Error:
        return []
    return [str(name) for (name,) in rows if str(name).startswith(incomplete)]


def evidence(incomplete: str) -> list[str]:
    """The newest runs where evidence goes by default, and paths."""
    try:
        runs = [path for path in default_runs().iterdir() if (path / RUN).is_file()]
        runs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        runs = []
    own = [str(path) for path in runs[:_SHOWN_RUNS] if str(path).startswith(incomplete)]
    return list(dict.fromkeys([*own, *_paths(incomplete)]))


def dump_tool(incomplete: str) -> list[str]:
    """Names of dump tools, TOML files, and directories that may have some."""
    from harness.run.inputs.dump_tool import NAMES, SUFFIX

    names = [name for name in NAMES if name.startswith(incomplete)]
    return names + _paths(incomplete, SUFFIX)


def zipl(incomplete: str) -> list[str]:
    """Suites of Debian, or paths."""
    from harness.images.zipl.choice import KNOWN_SUITES, is_path

    if is_path(incomplete):
        return _paths(incomplete)
    return [suite for suite in KNOWN_SUITES if suite.startswith(incomplete)]


def trigger(incomplete: str) -> list[str]:
    from harness.triggers.table import TRIGGERS

    return [name for name in TRIGGERS if name.startswith(incomplete)]


def fault(incomplete: str) -> list[str]:
    from harness.faults.table import FAULTS

    return [name for name in FAULTS if name.startswith(incomplete)]


def workload(incomplete: str) -> list[str]:
    """Names of workloads, or paths."""
    from harness.triggers.workloads import WORKLOADS

    names = [name for name in WORKLOADS if name.startswith(incomplete)]
    return names + _paths(incomplete)


def _paths(incomplete: str, suffix: str = "") -> list[str]:
    """Files that end in ``suffix``, and directories, which end in a slash, as they are written."""
    start = incomplete.rpartition("/")[2]
    directory = incomplete.removesuffix(start)
    try:
        entries = sorted(Path(directory).iterdir())
    except (OSError, ValueError):
        return []
    words = [
        f"{directory}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(start)
    ]
    return [word for word in words if word.endswith(("/", suffix))]
