"""The command that starts gdb on a machine that a run keeps."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import EvidenceError, HostError
from harness.evidence.directory import RunDirectory
from harness.evidence.held import Held, System
from harness.files.json_file import as_model, read_object
from harness.files.plain_file import is_file
from harness.host.tools import how_to_get
from harness.verify.evidence_files import KernelFile, RunFile

MULTIARCH, OF_HOST = "gdb-multiarch", "gdb"
ARCHITECTURE = "set architecture s390:64-bit"
_PROBE_SECONDS = 20.0


def command_of(evidence: Path, held: Held, arguments: Sequence[str]) -> list[str]:
    """The argument list of the debugger, connected to the machine, with the kernel's symbols.

    ``arguments`` come last. Without a vmlinux, it has no symbols. Raises HostError if there is no
    debugger that knows s390.
    """
    path = RunDirectory(evidence).run
    run = as_model(RunFile, read_object(path), path)
    of_dump = held.system is System.DUMP
    kernel = run.inputs.dump_kernel if of_dump else run.inputs.crashed_kernel
    command = [_debugger(), "-ex", ARCHITECTURE]
    if (vmlinux := _vmlinux(kernel)) is not None:
        command += ["-ex", f"symbol-file {_quoted(vmlinux)} -o {held.kernel_offset:#x}"]
    return [*command, "-ex", f"target remote {held.gdb}", *arguments]


def _vmlinux(kernel: KernelFile | None) -> Path | None:
    """The file, if it was recorded; raises EvidenceError if it is not there any more."""
    if kernel is None or kernel.vmlinux is None:
        return None
    path = Path(kernel.vmlinux.path)
    if not is_file(path):
        raise EvidenceError(f"the kernel's vmlinux is not there any more: {path}")
    return path


def _quoted(path: Path) -> str:
    """For gdb's own command line, which takes words apart as a shell does."""
    return "'" + str(path).replace("'", "'\\''") + "'"


def _debugger() -> str:
    if found := shutil.which(MULTIARCH):
        return found
    if (found := shutil.which(OF_HOST)) and _knows_s390(found):
        return found
    raise HostError(
        "no gdb is installed that knows s390",
        hint=f"{how_to_get([MULTIARCH])}; zharness gdb --print then shows the command",
    )


def _knows_s390(gdb: str) -> bool:
    command = [gdb, "-nx", "-batch", "-ex", ARCHITECTURE]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and not done.stderr
