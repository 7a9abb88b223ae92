"""drgn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples

Evidence = Annotated[Path, options.path_argument(help="Evidence directory of a run.")]
Code = Annotated[
    str | None,
    typer.Option("-c", metavar="CODE", help="Run this Python code and end, in place of a session."),
]
EXAMPLES = examples(
    "zharness drgn evidence",
    "zharness drgn evidence -c 'print(prog[\"init_task\"].comm)'",
)


def drgn(
    evidence: Evidence,
    code: Code = None,
    vmlinux: options.CrashedVmlinux = None,
) -> None:
    """Open the dump of a run with drgn: 'prog' is the crashed kernel, with its vmlinux.

    The session is drgn's own. What it prints of the dump goes to the terminal as it is.
    """
    from drgn.cli import run_interactive

    from harness.errors import UsageError
    from harness.inspect.drgn_session import program_of
    from harness.verify.evidence import Evidence as Opened

    with Opened.open(evidence, vmlinux) as opened:
        program = program_of(opened)
        if code is None:
            run_interactive(program)
            return
        try:
            compiled = compile(code, "-c", "exec")
            exec(compiled, {"prog": program, "__name__": "__main__"})  # noqa: S102 - the user's own
        except Exception as error:
            raise UsageError(f"-c: {type(error).__name__}: {error}") from error
