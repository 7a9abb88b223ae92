"""What ``dump extract`` writes: text, or a page's bytes."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from dataclasses import asdict

from harness.dump.kernel import Kernel
from harness.dump.kernel_log import read_log
from harness.dump.reader import PAGE, Dump
from harness.dump.vmcoreinfo import Vmcoreinfo
from harness.errors import EvidenceError, UsageError
from harness.verify.registers import paired_registers

_LINE = 16
_NAME_WIDTH = 25
_NUMBERED = ("page", "cpu")


def check(what: str, which: str | None) -> None:
    """Raise UsageError unless there is an address or number where one is needed, and only there."""
    if what not in _NUMBERED:
        if which is not None:
            raise UsageError(f"{what} takes no '{which}'")
    elif which is None:
        needed = "an address" if what == "page" else "a number"
        raise UsageError(f"{what} needs {needed}", hint=f"zharness dump extract FILE {what} 0")
    else:
        _number(which)


def extract(dump: Dump, what: str, which: str | None, *, json: bool) -> None:
    """Write it to standard output; what ``check`` accepted is not checked again.

    Raises EvidenceError if the dump does not have it, UsageError if it has no such CPU.
    """
    number = _number(which) if which is not None else 0
    if what == "dmesg":
        _dmesg(dump, json=json)
    elif what == "vmcoreinfo":
        _vmcoreinfo(dump, json=json)
    elif what == "page":
        _page(dump, number - number % PAGE, json=json)
    else:
        _cpu(dump, number, json=json)


def _dmesg(dump: Dump, *, json: bool) -> None:
    records = read_log(Kernel(dump))
    if json:
        print(jsonlib.dumps([asdict(record) for record in records], indent=1))
        return
    for record in records:
        print("\n".join(record.lines()))


def _vmcoreinfo(dump: Dump, *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(dict(Vmcoreinfo.of(dump).lines), indent=1))
        return
    note = dump.vmcoreinfo
    if note is None:
        raise EvidenceError(f"{dump.name}: has no VMCOREINFO")
    print(note.rstrip(b"\0").decode(errors="replace"), end="")


def _page(dump: Dump, address: int, *, json: bool) -> None:
    data = dump.read(address, PAGE)
    if json:
        print(jsonlib.dumps({"address": address, "hex": data.hex()}))
    elif sys.stdout.isatty():
        for line in hex_lines(data, address):
            print(line)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _cpu(dump: Dump, number: int, *, json: bool) -> None:
    cpus = dump.cpus
    if not 0 <= number < len(cpus):
        raise UsageError(f"{dump.name}: no CPU {number}: the dump has {len(cpus)}, from 0 on")
    cpu = cpus[number]
    if json:
        print(jsonlib.dumps(cpu.to_json(), indent=1))
        return
    for name, width, value, _ in paired_registers(cpu, cpu):
        print(f"{name:{_NAME_WIDTH}} {value:0{width // 4}x}")


def hex_lines(data: bytes, address: int) -> Iterator[str]:
    """16 bytes a line, as hexdump -C shows them; * stands for lines like the one before."""
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
        raise UsageError(f"'{text}' is no number; addresses are written like 0x1000")
    return value
