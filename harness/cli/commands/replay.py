"""replay: repeat a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from harness.cli import options
from harness.cli.one_run import run_plan, show
from harness.cli.options import examples
from harness.cli.say import tell

EXAMPLES = examples(
    "zharness replay evidence  # run the same again",
    "zharness replay bundle.tar.zst  # the run in a bundle, without a build",
    "zharness replay evidence --hold end  # and look at the dump system at its end",
    "zharness replay evidence --trust  # build the kernel source that it names, without asking",
)


def replay(
    evidence: Annotated[
        Path, options.evidence_argument(help="Evidence directory of an earlier run, or a bundle.")
    ],
    fresh: options.Fresh = False,
    output: options.Output = None,
    keep: options.Keep = False,
    judges: options.Judges = False,
    hold: options.Hold = None,
    memory_on_disk: options.MemoryOnDisk = False,
    trust: options.Trust = False,
    store: options.StorePath = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Repeat an earlier run, from its evidence or from a bundle.

    A bundle holds the crash, which is dumped again, and the dump system: nothing is built. The new
    verdict is compared with that of the bundle.
    """
    from harness.cli import bundled
    from harness.cli.batch import run as batch
    from harness.errors import EvidenceError, UsageError
    from harness.evidence.directory import RunDirectory
    from harness.files.json_file import read_object
    from harness.run.options import RunOptions
    from harness.run.plan import Plan
    from harness.run.trust import executed

    if evidence.is_file():
        if fresh:
            raise UsageError("a bundle holds the crash itself: --fresh cannot make it anew")
        hosted = RunOptions(keep=keep, judges=judges, hold=hold)
        chosen = batch.Chosen({}, options.store_path(store), hosted, consoles=verbose, json=json)
        return bundled.replay(evidence, chosen, output)
    former = RunDirectory(evidence)
    document = read_object(former.run)
    for part in ("plan", "inputs"):
        if not isinstance(document.get(part), dict):
            raise EvidenceError(f"{former.run}: holds no {part}")
    plan = Plan.from_json(document["plan"], former.run)
    if "crashed kernel" not in document["inputs"]:
        raise UsageError(
            f"{evidence} is a dump of a stored crash, so no crash can be made again",
            hint=f"zharness dump {former.crash}{os.sep} dumps it again",
        )
    _require_trust(executed(plan, evidence), trust)
    chosen = batch.Chosen(
        {},
        options.store_path(store),
        RunOptions(keep=keep, fresh=fresh, judges=judges, hold=hold),
        consoles=verbose,
        json=json,
        memory_on_disk=memory_on_disk,
    )
    return show(run_plan(plan, chosen, output), json)


def _require_trust(executed: list[str], trusted: bool) -> None:
    """Print what this host would execute, and ask; raises UsageError unless the answer is yes."""
    from harness.errors import UsageError

    for line in executed:
        tell(line)
    if not executed or trusted:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        tell("Build that on this host? Type yes if you trust whoever made this evidence:")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise UsageError(
        "nothing was built, because nobody confirmed that this evidence is to be trusted",
        hint="use --trust if you trust whoever made it; see docs/security.md",
    )
