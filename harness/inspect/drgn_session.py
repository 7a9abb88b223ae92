"""Open the crashed kernel in the dump of a run with drgn, for a person or a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import EvidenceError, UsageError
from harness.verify.evidence import Evidence
from harness.verify.semantic.check import why_not_readable

if TYPE_CHECKING:
    from drgn import Program


def program_of(evidence: Evidence) -> Program:
    """The program, with the kernel's vmlinux and the symbols of its modules.

    Raises UsageError if there is no dump that drgn can read, or no vmlinux; EvidenceError if the
    vmlinux is another kernel's.
    """
    from drgn import FaultError

    from harness.verify.semantic.drgn_reader.target import name_modules, open_kernel

    if (reason := why_not_readable(evidence)) is not None:
        raise UsageError(
            f"drgn cannot read this dump: {reason}",
            hint="give the kernel's vmlinux: --vmlinux FILE",
        )
    if evidence.dump is None or evidence.dump_path is None or evidence.vmlinux is None:
        raise UsageError(f"there is no dump: {evidence.dump_fault}")
    try:
        program = open_kernel(evidence.dump, evidence.dump_path, evidence.vmlinux)
        name_modules(program)
    except FaultError as error:
        raise EvidenceError(f"{evidence.dump_path}: drgn: {error}") from error
    return program
