"""drgn."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples

Evidence = Annotated[Path, options.evidence_argument(help="Evidence directory of a run.")]
Code = Annotated[
    str | None,
    typer.Option("-c", metavar="CODE", help="Run this Python code and end, in place of a session."),
]


class Kernel(StrEnum):
    """Whose memory is opened."""

    CRASHED = "crashed-system"
    DUMP = "dump-system"


Of = Annotated[
    Kernel,
    typer.Option("--of", help="The kernel in the dump, or the one that wrote it, at its end."),
]
EXAMPLES = examples(
    "zharness drgn evidence",
    "zharness drgn evidence --of dump-system  # of a run that failed",
    "zharness drgn evidence -c 'print(prog[\"init_task\"].comm)'",
)


def drgn(
    evidence: Evidence,
    code: Code = None,
    of: Of = Kernel.CRASHED,
    vmlinux: options.CrashedVmlinux = None,
) -> None:
    """Open the dump of a run with drgn: 'prog' is the crashed kernel, with its vmlinux.

    With --of dump-system, 'prog' is the dump kernel at its end. A run that did not pass has its
    memory; the kernel needs debug information: run --dump-config CONFIG_DEBUG_INFO_DWARF5=y.

    The session is drgn's own. What it prints of the dump goes to the terminal as it is.
    """
    from drgn.cli import run_interactive

    from harness.cli.show.progress import progress_for
    from harness.errors import UsageError
    from harness.inspect.drgn_session import dump_system_of, program_of
    from harness.verify.evidence import Evidence as Opened

    with ExitStack() as stack:
        progress = progress_for(json=False, verbose=False)
        opened = stack.enter_context(Opened.open(evidence, vmlinux, progress))
        if of is Kernel.DUMP:
            program = stack.enter_context(dump_system_of(opened))
        else:
            program = program_of(opened)
        if code is None:
            run_interactive(program)
            return
        try:
            compiled = compile(code, "-c", "exec")
            exec(compiled, {"prog": program, "__name__": "__main__"})  # noqa: S102 - the user's own
        except Exception as error:
            raise UsageError(f"-c: {type(error).__name__}: {error}") from error
