"""The kernel's log and its names."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Program
from drgn.helpers.linux.printk import get_printk_records

from harness.dump.reader import Dump
from harness.verify.semantic.facts import Names

_NANOSECONDS = 1_000_000_000


def read_log(program: Program, _: Dump) -> tuple[str, ...]:
    return tuple(_lines(program))


def read_names(program: Program, _: Dump) -> Names:
    name = program["init_uts_ns"].name
    sysname, release, version, machine = (
        name.member_(field).string_().decode(errors="replace")
        for field in ("sysname", "release", "version", "machine")
    )
    return Names(sysname, release, version, machine)


def _lines(program: Program) -> Iterator[str]:
    """As print_time() and record_print_text() in kernel/printk/printk.c write them."""
    for record in get_printk_records(program):
        seconds, rest = divmod(record.timestamp, _NANOSECONDS)
        for text in record.text.decode(errors="replace").split("\n"):
            yield f"[{seconds:5d}.{rest // 1000:06d}] {text}"
