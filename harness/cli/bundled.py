"""Repeat the run in a bundle, and compare its verdict with the bundle's."""

from __future__ import annotations

from pathlib import Path

from harness.cli import options
from harness.cli.batch.run import Chosen
from harness.cli.one_run import echo
from harness.cli.say import say, say_json
from harness.cli.show.progress import progress_for
from harness.cli.show.verdict import show_verdict
from harness.images.store import Store
from harness.report.verdict import Verdict
from harness.run import engine
from harness.run.bundle.inputs import Bundled
from harness.run.bundle.unpack import unpack


def replay(path: Path, chosen: Chosen, output: Path | None) -> int:
    """Dump the crash in the bundle at ``path`` again; returns the verdict's exit code."""
    silent = chosen.json and chosen.options.hold is None
    progress = progress_for(json=silent, verbose=chosen.consoles)
    store = Store(chosen.store, progress)
    bundled = Bundled.open(unpack(path, store, progress))
    former = Verdict.from_json(bundled.verdict, path)
    verdict = engine.dump_snapshot(
        bundled.snapshot,
        bundled.plan,
        output=options.output_path(output, bundled.plan.name),
        store=store,
        progress=progress,
        keep=chosen.options.keep,
        judges=chosen.options.judges,
        hold=chosen.options.hold,
        on_line=echo if chosen.consoles else None,
        machines=bundled.machines(),
    )
    differences = former.differences(verdict)
    if chosen.json:
        document = {**verdict.to_json(), "directory": str(verdict.directory)}
        say_json({**document, "differs from the bundle": differences})
        return int(verdict.exit_code)
    show_verdict(verdict)
    for line in differences or ["the verdict is that of the bundle"]:
        say(line)
    return int(verdict.exit_code)
