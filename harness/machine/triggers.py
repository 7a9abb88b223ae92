"""How a running system is made to die."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError


@dataclass(frozen=True)
class Trigger:
    """``command`` is typed at the crashed system's shell."""

    name: str
    command: str


TRIGGERS = {
    trigger.name: trigger
    for trigger in (
        # Linux drivers/tty/sysrq.c, sysrq_handle_crash
        Trigger("sysrq-c", "echo c > /proc/sysrq-trigger"),
    )
}


def trigger_named(name: str) -> Trigger:
    """Raises UsageError listing the triggers there are."""
    if name not in TRIGGERS:
        raise UsageError(f"no trigger '{name}'", hint=f"there are: {', '.join(sorted(TRIGGERS))}")
    return TRIGGERS[name]
