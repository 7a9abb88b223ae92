"""Ask a full system how it is."""

from __future__ import annotations

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.evidence.condition import Condition
from harness.machine.inside.script import run_script
from harness.machine.system.shell import Shell
from harness.printable import printable

_SHOWN = 200  # characters of a report that cannot be read


def condition_of(shell: Shell, deadline: Deadline) -> Condition:
    """Run images/system/condition; raises what ``Shell.run`` raises, ProtocolError."""
    report = run_script(shell, "condition", deadline)
    try:
        return Condition.parse(report)
    except ValueError as error:
        said = printable(report.strip(), limit=_SHOWN) or "nothing"
        raise ProtocolError(f"the system does not tell how it is; it says: {said}") from error
