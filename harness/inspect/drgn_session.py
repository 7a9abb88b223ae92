"""Open the crashed kernel in the dump of a run with drgn, for a person or a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import EvidenceError, UsageError
from harness.verify import dump_system
from harness.verify.evidence import Evidence
from harness.verify.semantic.check import why_not_readable

if TYPE_CHECKING:
    from drgn import Program


@contextmanager
def dump_system_of(evidence: Evidence) -> Iterator[Program]:
    """The dump system itself, as it was at its end, with the dump kernel's vmlinux.

    The program can be used during a ``with`` block. Raises as :func:`program_of` does.
    """
    from drgn import FaultError

    from harness.dump.detect import open_dump
    from harness.verify.semantic.drgn_reader.target import open_kernel

    if (reason := dump_system.why_not_readable(evidence)) is not None:
        raise UsageError(f"drgn cannot read the dump system: {reason}")
    path, vmlinux = evidence.dump_system, evidence.dump_vmlinux
    assert path is not None
    assert vmlinux is not None
    try:
        with open_dump(path) as system:
            yield open_kernel(system, path, vmlinux)
    except FaultError as error:
        raise EvidenceError(f"{path}: drgn: {error}") from error


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
