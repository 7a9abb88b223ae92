"""Ask a full system how it is."""

from __future__ import annotations

from harness.deadline import Deadline
from harness.evidence.condition import Condition
from harness.machine.inside.script import ask
from harness.machine.system.shell import Shell


def condition_of(shell: Shell, deadline: Deadline) -> Condition:
    """Run images/system/condition; raises what ``ask`` raises."""
    return ask(shell, "condition", Condition.parse, deadline)
