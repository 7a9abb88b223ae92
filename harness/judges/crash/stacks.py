"""Compare the stack of a CPU as crash walks it, by back chains, with drgn's, by debug information.

Both tell for each function where it is or will continue. These addresses are compared. Names are
not: where two symbols have one address, each tool chooses its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from harness.judges.crash.output import ActiveTask, Frame
from harness.verify.findings import AllowedDifference
from harness.verify.semantic.facts import Cpu

# crash does not find a function without a frame of its own, whose caller is in r14 alone, nor the
# one that changed to another stack; both are single functions
_LOST_AT_ONCE = 1
_OVERFLOW, _RESTART = "kernel_stack_overflow", "restart_int_handler"
_UNNAMED = "0x"  # drgn's name of an address that is in no function, as a user's program
ENDS_AT_OVERFLOW = AllowedDifference(
    "stack that had overflowed", "crash does not follow it (tried: 9.0.2)"
)
ENDS_AT_RESTART = AllowedDifference(
    "stack that a restart left", "crash does not follow it from the restart stack (tried: 9.0.2)"
)


@dataclass
class StackDifferences:
    """What was found; ``compared`` counts crash's frames."""

    compared: int = 0
    messages: list[str] = field(default_factory=list)
    allowed: list[AllowedDifference] = field(default_factory=list)


def stack_differences(cpu: Cpu, said: ActiveTask) -> StackDifferences:
    """Crash's frames must all be among drgn's, in this order, and lack few of them."""
    ours, theirs = [*_ours(cpu)], [*_theirs(said)]
    found = StackDifferences(compared=len(theirs))
    lost, at = list[list[Frame]](), 0
    for frame in theirs:
        where = next((n for n in range(at, len(ours)) if ours[n].address == frame.address), None)
        if where is None:
            expected = ", ".join(map(_shown, ours[at : at + 2])) or "its end"
            found.messages.append(f"crash has {_shown(frame)}, we {expected}")
            return found
        lost.append(ours[at:where])
        at = where + 1
    if any(frame.function == _OVERFLOW for frame in ours[:at]):
        found.allowed.append(ENDS_AT_OVERFLOW)
    elif [frame.function for frame in ours[at : at + 1]] == [_RESTART]:
        found.allowed.append(ENDS_AT_RESTART)
    else:
        lost.append(ours[at:])
    found.messages += [
        f"crash lacks {', '.join(map(_shown, part))}" for part in lost if len(part) > _LOST_AT_ONCE
    ]
    return found


def _ours(cpu: Cpu) -> Iterator[Frame]:
    """Without inlined functions: of those at one address the outermost is the one that is there."""
    stack = zip(cpu.stack, cpu.addresses, strict=True)
    for address, names in groupby(stack, key=lambda item: item[1]):
        *_, (function, _) = names
        if not function.startswith(_UNNAMED):
            yield Frame(function, address)


def _theirs(said: ActiveTask) -> Iterator[Frame]:
    """Each once: crash shows an interrupted function twice, with its PSW and in the next stack."""
    for _, same in groupby(said.frames, key=lambda frame: frame.address):
        yield next(same)


def _shown(frame: Frame) -> str:
    return f"{frame.function} at {frame.address:#x}"
