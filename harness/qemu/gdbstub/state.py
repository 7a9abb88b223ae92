"""Whether the machine behind a gdbstub is stopped or runs, and which calls are allowed then."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from harness.errors import ProtocolError


class State(Enum):
    """What all CPUs do together: QEMU's gdbstub knows no others."""

    STOPPED = "stopped"
    RUNNING = "running"


class StateError(ProtocolError):
    """A call that the machine's ``state`` forbids: it needs the ``required`` one."""

    def __init__(self, call: str, state: State, required: State) -> None:
        super().__init__(
            f"{call} needs a {required.value} machine, but the machine is {state.value}"
        )
        self.state, self.required = state, required


class HasState(Protocol):
    """What ``require`` checks."""

    state: State


_Self = TypeVar("_Self", bound=HasState)
_P = ParamSpec("_P")
_R = TypeVar("_R")
_Method = Callable[Concatenate[_Self, _P], _R]


def require(required: State) -> Callable[[_Method[_Self, _P, _R]], _Method[_Self, _P, _R]]:
    """A decorator: the method raises StateError in any other state, before it does anything."""

    def guard(method: _Method[_Self, _P, _R]) -> _Method[_Self, _P, _R]:
        @wraps(method)
        def guarded(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            if self.state is not required:
                raise StateError(method.__name__, self.state, required)
            return method(self, *args, **kwargs)

        return guarded

    return guard
