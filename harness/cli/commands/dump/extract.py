"""What ``dump extract`` writes: text, or a page's bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict

from harness.cli.say import say, say_bytes, say_json, say_json_array, say_lines
from harness.dump.linux.crashed_kernel import Kernel
from harness.dump.linux.kernel_log import read_log
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump
from harness.errors import EvidenceError, UsageError
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify.checks.registers import as_it_was, paired_registers

_LINE = 16
_NAME_WIDTH = 25
_NUMBERED = ("page", "cpu")


def check(what: str, which: str | None) -> None:
    """Raise UsageError if an address or number is missing, or given where none is needed."""
    if what not in _NUMBERED:
        if which is not None:
            raise UsageError(f"{what} takes no '{which}'")
    elif which is None:
        needed = "an address" if what == "page" else "a number"
        raise UsageError(f"{what} needs {needed}", hint=f"zharness dump extract FILE {what} 0")
    else:
        _number(which)


def extract(dump: Dump, what: str, which: str | None, *, json: bool) -> None:
    """Write it to standard output; ``check`` has checked the arguments.

    Raises EvidenceError if the dump does not have it, UsageError if it has no such CPU.
    """
    number = _number(which) if which is not None else 0
    if what == "dmesg":
        _dmesg(dump, json=json)
    elif what == "vmcoreinfo":
        _vmcoreinfo(dump, json=json)
    elif what == "page":
        _page(dump, number - number % PAGE_SIZE, json=json)
    else:
        _cpu(dump, number, json=json)


def _dmesg(dump: Dump, *, json: bool) -> None:
    records = read_log(Kernel(dump))
    if json:
        say_json_array(asdict(record) for record in records)
        return
    for record in records:
        for line in record.lines():
            say(line)


def _vmcoreinfo(dump: Dump, *, json: bool) -> None:
    if json:
        say_json(dict(Vmcoreinfo.of(dump).lines))
        return
    note = dump.vmcoreinfo
    if note is None:
        raise EvidenceError(f"{dump.name}: has no VMCOREINFO")
    say_lines(note.rstrip(b"\0").decode(errors="replace").removesuffix("\n"))


def _page(dump: Dump, address: int, *, json: bool) -> None:
    data = dump.read(address, PAGE_SIZE)
    if json:
        say_json({"address": address, "hex": data.hex()})
    elif sys.stdout.isatty():
        for line in hex_lines(data, address):
            say(line)
    else:
        say_bytes(data)


def _cpu(dump: Dump, number: int, *, json: bool) -> None:
    cpus = dump.cpus
    if not 0 <= number < len(cpus):
        raise UsageError(f"{dump.name}: no CPU {number}: the dump has {len(cpus)}, from 0 on")
    cpu = cpus[number]
    if json:
        say_json(as_it_was(cpu).to_json())
        return
    for pair in paired_registers(cpu, cpu):
        say(f"{pair.name:{_NAME_WIDTH}} {pair.shown(pair.one)}")


def hex_lines(data: bytes, address: int) -> Iterator[str]:
    """16 bytes a line, as hexdump -C shows them; * stands for lines that repeat the one before."""
    before, starred = b"", False
    for at in range(0, len(data), _LINE):
        line = data[at : at + _LINE]
        if line == before:
            if not starred:
                yield "*"
            starred = True
            continue
        before, starred = line, False
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        yield f"{address + at:016x}  {line.hex(' '):{_LINE * 3 - 1}}  |{text}|"
    yield f"{address + len(data):016x}"


def _number(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise UsageError(f"'{text}' is not a number; write an address like 0x1000")
    return value
