"""Check that crash finds the same in a dump as our reader, and the same kernel as drgn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import NamedTuple

from harness.dump.linux.crashed_kernel import Kernel
from harness.dump.linux.kernel_log import panic_in, read_log
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump, without
from harness.errors import EvidenceError
from harness.judges.crash.guest import PAGE, Opinion
from harness.judges.crash.output import ActiveTask, Process
from harness.judges.crash.stacks import stack_differences
from harness.s390x.cpu import DumpedCpu
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import FindingKind
from harness.verify.semantic.facts import Cpu, KernelFacts

CHECK, UNIT = "crash", "facts, registers, tasks, functions and words"
SAMPLES = 32  # pages that are compared
LESS_MEMORY = AllowedDifference(
    "memory", "the kernel uses less of it than the dump has, as with the kernel parameter mem="
)
# the newest kernel that a release of crash was seen to read; an older one (8.0.2) read none
_SEEN_TO_READ = {(8, 0, 6): (6, 12), (9, 0, 2): (6, 12)}
# crash looks for a member or a type that this kernel's vmlinux does not have
_UNKNOWN_KERNEL = re.compile(r"^.*invalid structure (?:member offset|size).*$", re.MULTILINE)
_SERIES = re.compile(r"(\d+)\.(\d+)")
_CPUS = re.compile(r"(\d+)(?: \[OFFLINE: (\d+)\])?")
_MEMORY = re.compile(r"([\d.]+) (GB|MB|KB)")
_UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_ROUNDING = 0.051  # of a figure that has one decimal place
_QUOTED = re.compile(r'"(.*)"(?: \(check log for details\))?')
_ERROR = "crash: "
_PANIC_STATE = "(PANIC)"
_MISSING = "nothing"
_SHOWN = 8  # words of memory, and processes, that differ
Known = tuple[int, ...] | None
_REGISTERS: Mapping[str, tuple[str, Callable[[DumpedCpu], Known]]] = {
    "psw": ("PSW", lambda cpu: (cpu.psw_mask, cpu.psw_addr)),
    "prefix": ("prefix", lambda cpu: _single(cpu.prefix)),
    "cpu timer": ("CPU timer", lambda cpu: _single(cpu.cpu_timer)),
    "clock cmp": ("clock comparator", lambda cpu: _single(_shifted_back(cpu.clock_comparator))),
    "general": ("gpr", lambda cpu: cpu.gprs),
    "access": ("acr", lambda cpu: cpu.acrs),
    "control": ("cr", lambda cpu: cpu.crs),
    "floating point": ("fpr", lambda cpu: cpu.fprs),
}
"""Crash's name of a register or a bank: our name, and what a dump has of it."""


class Compared(NamedTuple):
    """``what`` was compared: our value and crash's, as people read them."""

    what: str
    ours: object
    theirs: object


def pages_to_read(dump: Dump) -> tuple[int, ...]:
    """Addresses of pages on which both shall agree: spread evenly over memory that has content."""
    ranges = [(start, end) for start, end in dump.data_ranges() if end - start >= PAGE]
    total = sum((end - start) // PAGE for start, end in ranges)
    return tuple(islice(_every(ranges, max(1, total // SAMPLES)), SAMPLES))


def check(dump: Dump, facts: KernelFacts, opinion: Opinion, pages: Sequence[int]) -> CheckResult:
    """Compare what crash says with what our reader reads, and with drgn's ``facts``.

    Skipped if this crash does not know this kernel. Raises EvidenceError if ``dump`` itself cannot
    be read.
    """
    info = Vmcoreinfo.of(dump)
    release = info.lines.get("OSRELEASE", "") if info else ""
    name = ".".join(map(str, opinion.version))
    if why := _unfit(opinion, release):
        return CheckResult.skipped(CHECK, UNIT, f"crash {name} cannot read kernel {release}: {why}")
    if opinion.said.status:
        message = f"crash ended with {opinion.said.status}: {_last(opinion.said.text)}"
        return CheckResult.failed(CHECK, UNIT, FindingKind.OTHER_TOOL_FAILED, message)
    active = {task.cpu: task for task in opinion.active}
    compared = [
        *_system(dump, release, opinion),
        *_registers(dump, opinion),
        *_words(dump, opinion, pages),
        *_tasks(facts, active),
        *_processes(facts, opinion),
    ]
    messages = [
        f"{each.what}: crash has {each.theirs}, we {each.ours}"
        for each in compared
        if each.ours != each.theirs
    ]
    allowed = []
    if (more := _memory(dump, opinion)) is None:
        allowed = [LESS_MEMORY]
    elif more:
        messages.append(more)
    count = len(compared) + 1
    for cpu in facts.cpus or ():
        if cpu.number in active:
            found = stack_differences(cpu, active[cpu.number])
            messages += [f"CPU {cpu.number}: stack: {each}" for each in found.messages]
            allowed += found.allowed
            count += found.compared
    messages += _panic_task(facts, opinion)
    notes = [f"crash {name}"]
    unread = {**facts.faults, **facts.unknown}
    notes += [f"{part}: not compared: {why}" for part, why in unread.items() if part in _PARTS]
    findings = tuple(Finding(CHECK, FindingKind.OPINION_DIFFERS, message) for message in messages)
    return CheckResult(CHECK, count, UNIT, findings, tuple(allowed), notes=tuple(notes))


_PARTS = ("cpus", "tasks")


def _unfit(opinion: Opinion, release: str) -> str | None:
    """Why this crash is none to ask about this kernel; None if it is one."""
    if found := _UNKNOWN_KERNEL.search(opinion.said.text):
        return f"it says {found[0]!r}"
    series = _SERIES.match(release)
    if not opinion.said.status or series is None:
        return None
    seen = [kernel for known, kernel in _SEEN_TO_READ.items() if known <= opinion.version]
    if (int(series[1]), int(series[2])) <= max(seen, default=(0, 0)):
        return None
    return f"it was seen to read older ones only, or none, and says {_last(opinion.said.text)}"


def _last(text: str) -> str:
    """Its error message, or else its last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(_ERROR)]
    return repr((errors or lines)[-1]) if lines else _MISSING


def _every(ranges: Iterable[tuple[int, int]], step: int) -> Iterator[int]:
    """The address of each ``step``-th page of ranges of pages."""
    at = 0  # in pages, from the start of this range on
    for start, end in ranges:
        pages = (end - start) // PAGE
        while at < pages:
            yield start + at * PAGE
            at += step
        at -= pages


def _system(dump: Dump, release: str, opinion: Opinion) -> Iterator[Compared]:
    yield Compared("kernel release", repr(release), repr(opinion.system.get("RELEASE", _MISSING)))
    yield Compared(
        "stacks of CPUs", len({each.cpu for each in opinion.active}), len(opinion.active)
    )
    ours = [cpu for cpu in dump.cpus if cpu.prefix != 0]  # one of 0 never ran
    cpus = _CPUS.fullmatch(opinion.system.get("CPUS", ""))
    online = int(cpus[1]) - int(cpus[2] or 0) if cpus else _MISSING
    yield Compared("CPUs", len(ours), online)
    panic, quoted = _panic(dump), _QUOTED.fullmatch(opinion.system.get("PANIC", ""))
    if panic is not None:
        yield Compared("panic", repr(panic), repr(quoted[1]) if quoted else _MISSING)


def _panic(dump: Dump) -> str | None:
    """The panic's message in the log; None if there is none, or no log that we can read."""
    found = None
    with suppress(EvidenceError):
        for record in read_log(Kernel(dump)):
            found = panic_in(record) or found
    return found


def _memory(dump: Dump, opinion: Opinion) -> str | None:
    """What is wrong with crash's size of memory; "" if nothing is, None if it is less than ours."""
    said = opinion.system.get("MEMORY", _MISSING)
    match = _MEMORY.fullmatch(said)
    machine = chain(dump.memory_map, without(dump.left_out, dump.memory_map))
    ours = sum(end - start for start, end in machine)
    if match is None:
        return f"memory: crash has {said}, we {ours} bytes"
    theirs, off = float(match[1]) * _UNITS[match[2]], _ROUNDING * _UNITS[match[2]]
    if theirs > ours + off:
        return f"memory: crash has {said}, we {ours} bytes"
    return None if theirs < ours - off else ""


def _single(value: int | None) -> Known:
    return None if value is None else (value,)


def _shifted_back(clock_comparator: int | None) -> int | None:
    """Store status has shifted it right by 8 bits."""
    return None if clock_comparator is None else clock_comparator << 8 & (1 << 64) - 1


def _registers(dump: Dump, opinion: Opinion) -> Iterator[Compared]:
    """All registers that the dump has of each CPU; the prefix tells which is which."""
    theirs = {task.registers.get("prefix"): task for task in opinion.active}
    for cpu in dump.cpus:
        if not cpu.prefix:
            continue
        task = theirs.get((cpu.prefix,))
        if task is None:
            yield Compared(f"CPU with prefix {cpu.prefix:#x}", "one", "none")
            continue
        for name, (shown, read) in _REGISTERS.items():
            ours, found = read(cpu) or (), task.registers.get(name, ())
            for at, value in enumerate(ours):
                other = f"{found[at]:#x}" if len(found) == len(ours) else _MISSING
                number = "" if len(ours) == 1 else f" {at}"
                yield Compared(f"CPU {task.cpu}: {shown}{number}", f"{value:#x}", other)


def _words(dump: Dump, opinion: Opinion, pages: Sequence[int]) -> Iterator[Compared]:
    """Each page of memory, and the first word of it that differs."""
    for page in pages:
        ours = dump.read(page, PAGE)
        for at in range(0, PAGE, 8):
            word, theirs = ours[at : at + 8], opinion.memory.get(page + at)
            if word != theirs:
                other = _MISSING if theirs is None else theirs.hex()
                yield Compared(f"memory at {page + at:#x}", word.hex(), other)
                break
        else:
            yield Compared(f"memory at {page:#x}", "", "")


def _tasks(facts: KernelFacts, active: Mapping[int, ActiveTask]) -> Iterator[Compared]:
    """The current task of each CPU that drgn found."""
    for cpu in facts.cpus or ():
        what, task = f"CPU {cpu.number}", active.get(cpu.number)
        ours = (hex(cpu.task.address), cpu.task.pid, cpu.task.comm)
        theirs = (hex(task.task), task.pid, task.comm) if task else _MISSING
        yield Compared(f"{what}: current task", ours, theirs)


def _processes(facts: KernelFacts, opinion: Opinion) -> Iterator[Compared]:
    """Each process that is in the kernel's list, unless the list was being changed."""
    tasks = facts.tasks
    if tasks is None or tasks.changing or tasks.forward.broken:
        return
    for task in tasks.forward.tasks:
        process, ours = opinion.processes.get(task.address), (task.pid, task.comm)
        same = process and process in {Process(task.pid, name) for name in _shown(task.comm)}
        theirs = (process.pid, process.shown) if process else _MISSING
        yield Compared(f"process {task.address:#x}", ours, ours if same else theirs)


def _shown(comm: str) -> tuple[str, str]:
    """How crash may show a name."""
    return comm, f"[{comm}]"


def _panic_task(facts: KernelFacts, opinion: Opinion) -> Iterator[str]:
    """The one that crash says panicked must be a current task, and one that did if we know any."""
    state = opinion.panicked.get("STATE", "")
    if _PANIC_STATE not in state or facts.cpus is None:
        return
    said = opinion.panicked.get("TASK", "").split(" ")[0]
    died = [cpu for cpu in facts.cpus if _panicked(cpu)] or facts.cpus
    if said not in {f"{cpu.task.address:x}" for cpu in died}:
        ours = ", ".join(str(cpu.task) for cpu in died)
        yield f"panic task: crash has {said!r}, we {ours}"


def _panicked(cpu: Cpu) -> bool:
    return not {"panic", "vpanic"}.isdisjoint(cpu.stack)
