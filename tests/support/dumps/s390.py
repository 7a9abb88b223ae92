"""Small s390 stand-alone dumps, made with struct from s390-tools' s390_dump.h.

They do not use the harness's own layouts, status areas or writers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from harness.s390x.cpu import CpuState
from tests.support.evidence import elf_note

PAGE, MIB = 4096, 1 << 20
PLAIN, EXTENDED = 0xA8190173618F23FD, 0xA8190173618F23FE
TOD, END_TOD = 0xE3A2_7462_C416_0000, 0xE3A2_7463_0000_0000
RAW = 1 << 31
LAST = (1 << 64) - 1
VMCOREINFO = b"OSRELEASE=6.12.1-test\nCRASHTIME=1\n"


def header(
    memory: int,
    prefixes: Sequence[int] = (),
    *,
    magic: int = PLAIN,
    version: int = 5,
    zlib_entry_size: int = 0,
    tod: int = TOD,
) -> bytes:
    """The header of such a dump: 4096 bytes."""
    data = bytearray(PAGE)
    struct.pack_into(">Q4I", data, 0, magic, version, 0x1000, 4, 0x1000)
    struct.pack_into(">3QI", data, 0x18, memory, 0, memory, memory // PAGE)
    struct.pack_into(">2Q3I", data, 0x38, tod, 0xFF00_1234_8561_8000, 2, 0, 2)
    struct.pack_into(">QBHH", data, 0x54, memory, 0, len(prefixes), len(prefixes) + 1)
    if zlib_entry_size:
        struct.pack_into(">BI", data, 0x61, 1, zlib_entry_size)
    struct.pack_into(f">{len(prefixes)}I", data, 0x800, *prefixes)
    return bytes(data)


def end_marker(tod: int = END_TOD) -> bytes:
    return struct.pack(">8sQ", b"DUMP_END", tod)


def plain(memory: bytes, prefixes: Sequence[int] = ()) -> bytes:
    return header(len(memory), prefixes) + memory + end_marker()


def raw_segment(start: int, data: bytes, stop: int = 0) -> bytes:
    """A raw segment, as zipl's tool writes it on a machine that cannot compress."""
    return struct.pack(">3Q", start, len(data), stop).ljust(PAGE, b"\0") + data


def compressed_segment(
    start: int, data: bytes, stop: int = 0, *, entry_size: int = MIB, raw: Sequence[int] = ()
) -> bytes:
    """A segment with an entry for each ``entry_size`` bytes; entries in ``raw`` are raw."""
    offsets, body = [], b""
    for number, at in enumerate(range(0, len(data), entry_size)):
        entry = data[at : at + entry_size]
        offsets.append(len(body) // PAGE | (RAW if number in raw else 0))
        body += entry if number in raw else zlib.compress(entry)
        body += bytes(-len(body) % PAGE)
    head = struct.pack(">3QI20xI", start, len(data), stop, len(body) // PAGE, len(offsets))
    head += struct.pack(f">{len(offsets)}I", *offsets)
    return head.ljust(PAGE, b"\0") + body


def extended(
    memory: int, segments: Sequence[bytes], prefixes: Sequence[int] = (), entry_size: int = MIB
) -> bytes:
    version = 2 if entry_size else 1
    head = header(memory, prefixes, magic=EXTENDED, version=version, zlib_entry_size=entry_size)
    return head + b"".join(segments) + end_marker()


def store(memory: bytearray, cpu: CpuState, vectors_at: int = 0) -> None:
    """Put the registers into memory as store status does; ``cpu`` as stored."""
    at = cpu.prefix + 0x1200
    struct.pack_into(">16Q16Q2Q", memory, at, *cpu.fprs, *cpu.gprs, cpu.psw_mask, cpu.psw_addr)
    struct.pack_into(">2I", memory, at + 0x118, cpu.prefix, cpu.fpc)
    timers = (cpu.tod_programmable, cpu.cpu_timer, cpu.clock_comparator)
    struct.pack_into(">I2Q", memory, at + 0x124, *timers)
    struct.pack_into(">16I16Q", memory, at + 0x140, *cpu.acrs, *cpu.crs)
    struct.pack_into(">Q", memory, cpu.prefix + 0x11B0, vectors_at)
    if vectors_at and vectors_at % 1024 == 0:
        for number in range(16):
            low = (cpu.fprs[number], cpu.vxrs_low[number])
            struct.pack_into(">2Q", memory, vectors_at + 16 * number, *low)
            at = vectors_at + 256 + 16 * number
            memory[at : at + 16] = cpu.vxrs_high[number].to_bytes(16, "big")


def vmcoreinfo(memory: bytearray, at: int) -> None:
    """Put the note into memory, and the pointer to it into the absolute lowcore."""
    note = elf_note(b"VMCOREINFO", 0, VMCOREINFO)
    memory[at : at + len(note)] = note
    struct.pack_into(">Q", memory, 0xE0C, at)
