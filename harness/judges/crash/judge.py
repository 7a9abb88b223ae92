"""What crash says of one dump, as a check."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from harness.dump.reader import Dump
from harness.judges.crash import agreement
from harness.judges.crash.guest import Crash
from harness.verify.findings import CheckResult
from harness.verify.semantic.check import build_id, require_build
from harness.verify.semantic.facts import KernelFacts
from harness.verify.semantic.process import read_kernel


class ReadsKernel(Protocol):
    """Reads the kernel of a dump, with its vmlinux; both are files."""

    def __call__(self, dump: Path, vmlinux: Path) -> KernelFacts: ...


def check(
    path: Path, dump: Dump, vmlinux: Path | None, crash: Crash, read: ReadsKernel = read_kernel
) -> CheckResult:
    """Whether crash agrees about ``dump``, which is in the file ``path``.

    Skipped, with the reason, if it cannot be asked. Raises EvidenceError if ``vmlinux`` is another
    kernel's, HostError and BuildError if crash or drgn could not do their work.
    """
    if why := crash.unknown(path, dump):
        return _skipped(why)
    if dump.limited is not None:
        return _skipped("the dump was limited, and crash does not start without all of memory")
    if vmlinux is None:
        return _skipped("crash needs vmlinux of the crashed kernel, and none is known")
    if not vmlinux.is_file():
        return _skipped(f"the crashed kernel's vmlinux is not there: {vmlinux}")
    wanted = build_id(dump.vmcoreinfo or b"")
    if wanted is None:
        return _skipped("the crashed kernel does not say which vmlinux is its own (BUILD-ID)")
    require_build(vmlinux, wanted)
    pages = agreement.pages_to_read(dump)
    opinion = crash.judge(path, dump.format, vmlinux, pages)
    return agreement.check(dump, read(path, vmlinux), opinion, pages)


def _skipped(why: str) -> CheckResult:
    return CheckResult.skipped(agreement.CHECK, agreement.UNIT, why)
