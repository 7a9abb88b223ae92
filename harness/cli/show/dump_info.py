"""Dumps for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.cli.say import say
from harness.cli.show.verdict import counted, table
from harness.scenario.sizes import format_size

_SHOWN_RANGES = 32
_WIDTH = 14


def show_info(info: Mapping[str, Any]) -> None:
    """What :func:`harness.dump.describe.describe` found, a line each, then the CPUs."""
    for name, value in _lines(info):
        say(f"{name + ':' if name else '':{_WIDTH}} {value}")
    if info["cpus"]:
        say()
        rows = (
            (str(at), " ".join(cpu["psw"]), cpu["prefix"] or "unknown", cpu["state"])
            for at, cpu in enumerate(info["cpus"])
        )
        table(("CPU", "PSW", "prefix", "state"), rows)


def _lines(info: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "file", info["file"]
    yield "format", info["format"]
    if info["container"]:
        yield "found in", info["container"]
    yield "complete", "yes" if info["complete"] else f"no: {info['incomplete']}"
    if info["early"]:
        yield "early", info["early"]
    yield "size", f"{info['size']} bytes; {info['length']} according to the dump's headers"
    yield "memory", f"{format_size(info['memory'])} in {counted(info['pieces'], 'piece')}"
    if info["limited"]:
        to, of = map(format_size, info["limited"])
        yield "limited", f"to {to} of the machine's {of} of memory"
    if info["left_out"]:
        yield "left out", f"{format_size(info['left_out'])} of memory is not in the file"
    yield from _map(info["memory_map"], info["pieces"])
    yield from _kernel(info)
    yield from info["times"].items()
    yield from info["facts"].items()
    yield from info["container_facts"].items()
    for why in info["unreadable"]:
        yield "unreadable", why


def _kernel(info: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    if info["uts"]:
        for name in ("nodename", "release", "version"):
            yield name, info["uts"][name]
    elif info["release"]:
        yield "release", info["release"]
    if info["build_id"]:
        yield "build-id", info["build_id"]
    if info["log"]:
        log = info["log"]
        yield "kernel log", f"{log['records']} records, up to {log['last_seconds']:.6f} s of uptime"
        yield "panic", info["panic"] or "none in the kernel log"


def _map(ranges: Sequence[Sequence[int]], count: int) -> Iterator[tuple[str, str]]:
    for start, end in ranges[:_SHOWN_RANGES]:
        yield "", f"{start:#018x}-{end - 1:#018x}"
    if count > _SHOWN_RANGES:
        yield "", f"and {count - _SHOWN_RANGES} more"
