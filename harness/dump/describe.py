"""Describe a dump: the facts that ``zharness dump info`` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from harness.dump.linux.crashed_kernel import Kernel, uts_names
from harness.dump.linux.early import early
from harness.dump.linux.kernel_log import panic_in, read_log
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump
from harness.errors import EvidenceError, LimitError
from harness.s390x.cpu import DumpedCpu

T = TypeVar("T")

LISTED = 1 << 16  # pieces of memory; a filtered dump may have a million

# Principles of Operation, chapter 4 "Program-Status Word"
PSW_WAIT = 1 << 49
_PSW_ENABLED = 1 << 57 | 1 << 56 | 1 << 50  # for I/O, external and machine-check interruptions
_TOD_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)  # ibid., chapter 4 "Time-of-Day Clock"
_TOD_MICROSECOND = 1 << 12


def describe(dump: Dump) -> dict[str, Any]:
    """Everything that is known without an oracle, as plain JSON.

    Addresses and sizes are numbers, in bytes; registers are hexadecimal strings.
    ``memory_map`` has the first of the memory's ``pieces``, up to ``LISTED``.
    ``unreadable`` says why what is None could not be read; nothing is raised for a damaged dump.
    Raises LimitError for a dump that exceeds a limit.
    """
    unreadable: list[str] = []

    def attempt(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except LimitError:
            raise
        except EvidenceError as error:
            if error.message not in unreadable:
                unreadable.append(error.message)
            return None

    before = attempt(lambda: early(dump))
    info = attempt(lambda: Vmcoreinfo.of(dump)) if before is None else None
    kernel = attempt(lambda: Kernel(dump)) if info else None
    log = attempt(lambda: _Log.of(kernel)) if kernel else None
    cpus = attempt(lambda: dump.cpus_in_reach)
    why, memory = incomplete(dump), dump.memory_map
    return {
        "file": dump.name,
        "format": dump.format,
        "container": dump.container or None,
        "complete": why is None,
        "incomplete": why,
        "size": dump.content.size,
        "length": dump.length,
        "early": None if before is None else str(before),
        "memory": sum(end - start for start, end in memory),
        "limited": None if dump.limited is None else list(dump.limited),
        "left_out": sum(end - start for start, end in dump.left_out),
        "pieces": len(memory),
        "memory_map": [list(piece) for piece in islice(memory, LISTED)],
        "cpus": None if cpus is None else [_cpu(cpu) for cpu in cpus],
        "release": info.lines.get("OSRELEASE") if info else None,
        "build_id": info.lines.get("BUILD-ID") if info else None,
        "uts": attempt(lambda: uts_names(kernel)) if kernel else None,
        "panic": log.panic if log else None,
        "log": {"records": log.records, "last_seconds": log.last_seconds} if log else None,
        "times": _times(info, dump.facts),
        "facts": {name: _plain(value) for name, value in dump.facts.items()},
        "container_facts": {name: _plain(value) for name, value in dump.container_facts.items()},
        "unreadable": unreadable,
    }


def incomplete(dump: Dump) -> str | None:
    """Why the dump is incomplete: not written to its end, or truncated later; None if complete."""
    if dump.incomplete is not None:
        return dump.incomplete
    return f"{dump.missing} bytes of memory are missing: it was cut" if dump.missing else None


class _Log(NamedTuple):
    """The kernel's log in short; ``panic`` is what it said of that, the last time it did."""

    records: int
    last_seconds: float
    panic: str | None

    @classmethod
    def of(cls, kernel: Kernel) -> _Log | None:
        """None if it has no record."""
        found = None
        for number, record in enumerate(read_log(kernel), 1):
            panic = panic_in(record) or (found.panic if found else None)
            found = cls(number, record.seconds, panic)
        return found


def _cpu(cpu: DumpedCpu) -> dict[str, Any]:
    return {
        "psw": [f"{cpu.psw_mask:016x}", f"{cpu.psw_addr:016x}"],
        "prefix": None if cpu.prefix is None else f"{cpu.prefix:08x}",
        "state": _state(cpu),
    }


def _state(cpu: DumpedCpu) -> str:
    if not cpu.psw_mask & PSW_WAIT:
        return "running"
    return "enabled wait" if cpu.psw_mask & _PSW_ENABLED else "disabled wait"


def _times(info: Vmcoreinfo | None, facts: Mapping[str, object]) -> dict[str, str]:
    """Time stamps by their name in the dump, as ISO 8601; invalid ones are left out."""
    times = {}
    crashed = info.lines.get("CRASHTIME", "") if info else ""
    if crashed.isdecimal() and len(crashed) < 12:
        times["CRASHTIME"] = datetime.fromtimestamp(int(crashed), UTC).isoformat()
    for name, value in facts.items():
        if "tod" in name and isinstance(value, int) and value:
            since = timedelta(microseconds=value // _TOD_MICROSECOND)
            times[name] = (_TOD_EPOCH + since).isoformat()
    return times


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
