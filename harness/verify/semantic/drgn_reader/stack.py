"""Unwind a CPU's stack, also where s390 changes to another stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from drgn import FaultError, Object, Program, StackFrame

from harness.s390x.cpu import DumpedCpu
from harness.verify.semantic.drgn_reader.target import registers

PSW_PROBLEM_STATE = 1 << 48  # Principles of Operation, chapter 4: PSW bit 15
# what interrupts and restarts change to; lowcore fields (arch/s390/include/asm/lowcore.h)
_STACKS = ("async_stack", "nodat_stack", "restart_stack", "mcck_stack")
# a function saves its caller's r14 here in the caller's frame (-mpacked-stack)
_SAVED_R14 = 136
# the shortest instruction, so also the shortest call. A return address belongs to the call before
# it: if that call does not return, the next function may start there
_SHORTEST_CALL = 2
_R15 = 15
_MAX_FRAMES = 256


def functions(program: Program, cpu: DumpedCpu, lowcore: Object) -> Iterator[tuple[str, int]]:
    """The CPU's active functions, innermost first; none in a user's program.

    Each has its name, and the address where it is, or will continue. An inlined function has the
    address of the one that it is in.
    """
    if cpu.psw_mask & PSW_PROBLEM_STATE:
        return
    bottoms = {int(getattr(lowcore, name)) for name in _STACKS}
    at: Object | None = registers(program, cpu.psw_addr, dict(enumerate(cpu.gprs)), cpu.psw_mask)
    while at is not None:
        frames = list(program.stack_trace(at))[:_MAX_FRAMES]
        last = None
        for frame in _real(frames):
            yield _name(program, frame), frame.pc
            last = frame
        at = None if last is None else _behind(program, last, bottoms)


def sleeping(program: Program, task: Object) -> tuple[str, ...]:
    """The functions of a task that is on no CPU: a ``struct task_struct *``."""
    frames = list(program.stack_trace(task))[:_MAX_FRAMES]
    return tuple(_name(program, frame) for frame in _real(frames))


def _real(frames: list[StackFrame]) -> Iterator[StackFrame]:
    """The frames before the first return address that is not valid."""
    for frame in frames:
        if frame.pc == 0:
            return
        yield frame


def _behind(program: Program, frame: StackFrame, bottoms: set[int]) -> Object | None:
    """Where the stack was left for the one that ``frame`` is the first on.

    A compiler does not know of that (arch/s390/include/asm/stacktrace.h, call_on_stack), so what
    drgn unwinds ends there; the new stack's back chain leads to the frame of the caller.
    """
    try:
        bottom = frame.sp
        if bottom not in bottoms:
            return None
        bottoms.remove(bottom)  # no stack is entered twice
        old = int(Object(program, "struct stack_frame", address=bottom).back_chain)
        if old == 0:
            return None
        back = program.read_u64(old + _SAVED_R14)
        if back < _SHORTEST_CALL:
            return None
        return registers(program, back - _SHORTEST_CALL, {_R15: old})
    except (FaultError, LookupError):  # drgn raises the latter where it knows no stack pointer
        return None


def _name(program: Program, frame: StackFrame) -> str:
    """``frame.name``, or the symbol before: an exception's address is that of the next instruction,
    and nothing follows the last one of a function that never returns.
    """
    try:
        program.symbol(frame.pc)
    except LookupError:
        with suppress(LookupError):
            return str(program.symbol(frame.pc - 1).name)
    return str(frame.name)
