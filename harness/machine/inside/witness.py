"""Ask a running system what it looks like, just before it is crashed."""

from __future__ import annotations

import base64
import gzip

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.evidence.witness_report import parse, unpack
from harness.evidence.witnesses import Witnesses
from harness.host.paths import data_dir
from harness.machine.system.shell import Shell

FILES = 100  # that the system makes, for their content to be found in the dump

_SCRIPT = "/root/zharness-witness"
_LINE = 512  # characters of a command: the minimal system's shell has a limit
_TRIES = 3  # a kernel message in the middle of a line damages the report


def gather(shell: Shell, deadline: Deadline, files: int = FILES) -> Witnesses:
    """Run images/system/witness, which makes ``files`` files, and read its report.

    Raises what ``Shell.run`` raises, and ProtocolError if no report arrives whole.
    """
    _put_script(shell, deadline)
    for _ in range(_TRIES):
        report = unpack(shell.run(f"sh {_SCRIPT} {files}", deadline))
        if report is not None:
            return parse(report)
    raise ProtocolError(
        f"the system's report of itself was damaged {_TRIES} times on its way here",
        hint="keep kernel messages off the console (crashed.parmline = 'quiet'), or do without: "
        "crashed.witnesses = false",
    )


def _put_script(shell: Shell, deadline: Deadline) -> None:
    """Through the shell alone, so that it works on a console, too."""
    script = gzip.compress((data_dir() / "images/system/witness").read_bytes(), mtime=0)
    text = base64.b64encode(script).decode()
    shell.run(f": > {_SCRIPT}.gz", deadline)
    for at in range(0, len(text), _LINE):
        shell.run(f"echo {text[at : at + _LINE]} >> {_SCRIPT}.gz", deadline)
    shell.run(f"base64 -d {_SCRIPT}.gz | gunzip > {_SCRIPT}", deadline)
