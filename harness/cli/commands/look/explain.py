"""explain."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json

Evidence = Annotated[Path, options.evidence_argument(help="Evidence directory of a run.")]
EXAMPLES = examples(
    "zharness explain evidence",
    "zharness explain evidence --json  # for programs",
)


def explain(evidence: Evidence, json: options.Json = False) -> None:
    """Explain a run on one page: what happened, and what was wrong first.

    Of many findings most follow from one. The page names the one that goes before the others,
    where a wrong page's content comes from, and the dump kernel's calls if it has printed them.
    """
    from harness.report.explain import lines, read

    explanation = read(evidence)
    if json:
        say_json(explanation.to_json())
        return
    for line in lines(explanation, f"zharness replay {shlex.quote(str(evidence))}"):
        say(line)
