"""What crash prints, as values.

As crash 8.0.6 and 9.0.2 print it (``s390x.c``, ``kernel.c``, ``task.c``, ``memory.c``). Text of the
dump is in it: names of tasks, the message of the panic. A line that does not fit is no claim of
crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.s390x.cpu import ACRS, CRS, FPRS, GPRS

BANKS = {"general": GPRS, "access": ACRS, "control": CRS, "floating point": FPRS}
"""Its names of the banks of registers, and how many each has."""

_NUMBER, _VALUE = "[0-9]+", "(?:0x)?[0-9a-f]{1,18}"  # zero has no 0x
_FACT = re.compile(r" *([A-Z][A-Z ]*): (.*)")
_TASK = re.compile(
    rf'PID: ({_NUMBER}) +TASK: ([0-9a-f]+) +CPU: ({_NUMBER}) +COMMAND: "(.*)"',
)
_SINGLE = re.compile(rf"  -(psw|prefix|cpu timer|clock cmp) *: ({_VALUE}(?: {_VALUE})?)")
_BANK = re.compile(r"  -(.*) registers:")
_WORDS = re.compile(rf" {{5}}({_VALUE}(?: {_VALUE})*)")
_ADDRESS = "([0-9a-f]{1,16})"
# where the CPU was, frames of its stacks, and where an interrupt came
_FRAME = re.compile(
    rf"(?:  -function :| *#{_NUMBER} \[[0-9a-f]+\]) (\S+) at {_ADDRESS}(?: \[.*\])?"
)
_INTERRUPTED = re.compile(rf" PSW:  [0-9a-f]{{16}} {_ADDRESS} \((.*)\)")
_NO_FUNCTION = ("(null)", "user space")
# a mark of the active ones; ids, CPU, address, state, use of memory, sizes; the name
_PROCESS = re.compile(
    rf"[> ] +({_NUMBER}) +{_NUMBER} +{_NUMBER} +([0-9a-f]+) +[A-Z?]{{2}} +[0-9.]+ +{_NUMBER} +"
    rf"{_NUMBER}  (.*)",
)
_MEMORY = re.compile(r" *([0-9a-f]+): +([0-9a-f]{16})(?: ([0-9a-f]{16}))?")
_VERSION = re.compile(rf"^crash ({_NUMBER})\.({_NUMBER})\.({_NUMBER})", re.MULTILINE)
_WORD = 8


class Frame(NamedTuple):
    """A function of the kernel, not an inlined one, and where it is or will continue."""

    function: str
    address: int


@dataclass(frozen=True)
class ActiveTask:
    """A CPU and what it was doing: ``bt -a``.

    ``registers`` are those of the lowcore by crash's names: single ones, and banks, whole.
    ``frames`` are those of all its stacks, innermost first.
    """

    cpu: int
    pid: int
    task: int
    comm: str
    registers: Mapping[str, tuple[int, ...]]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Process:
    """A line of ``ps``; ``shown`` is the name, of one of the kernel's own threads in brackets."""

    pid: int
    shown: str


def version(text: str) -> tuple[int, ...] | None:
    """The version that ``crash --version`` prints; None if there is none."""
    match = _VERSION.search(text)
    return match and tuple(map(int, match.groups()))


def facts(text: str) -> dict[str, str]:
    """``NAME: value`` lines of ``sys`` and ``set``; of a name that comes twice the first."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _FACT.fullmatch(line)
        if match:
            found.setdefault(match[1], match[2].strip())
    return found


def active_tasks(text: str) -> tuple[ActiveTask, ...]:
    """The parts of ``bt -a``, one for each CPU."""
    return tuple(_active(part) for part in _parts(text.splitlines()))


def processes(text: str) -> dict[int, Process]:
    """The lines of ``ps`` by the address of the task."""
    matches = (match for line in text.splitlines() if (match := _PROCESS.fullmatch(line)))
    return {int(match[2], 16): Process(int(match[1]), match[3]) for match in matches}


def words(text: str) -> dict[int, bytes]:
    """The words of 8 bytes by address: ``rd -x``."""
    found: dict[int, bytes] = {}
    for line in text.splitlines():
        match = _MEMORY.fullmatch(line.rstrip())
        if match:
            address = int(match[1], 16)
            for at, word in enumerate(filter(None, match.groups()[1:])):
                found[address + at * _WORD] = bytes.fromhex(word)
    return found


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    """The lines of each CPU; each begins with that of its task."""
    part: list[str] = []
    for line in lines:
        if _TASK.fullmatch(line.rstrip()):
            if part:
                yield part
            part = [line.rstrip()]
        elif part:
            part.append(line.rstrip())
    if part:
        yield part


def _active(lines: list[str]) -> ActiveTask:
    head = _TASK.fullmatch(lines[0])
    assert head is not None
    return ActiveTask(
        cpu=int(head[3]),
        pid=int(head[1]),
        task=int(head[2], 16),
        comm=head[4],
        registers=_registers(lines),
        frames=tuple(_frames(lines)),
    )


def _frames(lines: Iterable[str]) -> Iterator[Frame]:
    for line in lines:
        if frame := _FRAME.fullmatch(line):
            function, address = frame.groups()
        elif interrupted := _INTERRUPTED.fullmatch(line):
            address, function = interrupted.groups()
        else:
            continue
        if not function.startswith(_NO_FUNCTION):
            yield Frame(function, int(address, 16))


def _registers(lines: Iterable[str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    bank = None
    for line in lines:
        if single := _SINGLE.fullmatch(line):
            found[single[1]] = tuple(int(value, 16) for value in single[2].split())
        elif named := _BANK.fullmatch(line):
            bank = named[1]
        elif bank in BANKS and (values := _WORDS.fullmatch(line)):
            found[bank] = found.get(bank, ()) + tuple(int(each, 16) for each in values[1].split())
        else:
            bank = None
    return found
