from __future__ import annotations

import struct

import pytest

from harness.dump.linux.vmcoreinfo_note import note_in
from tests.support.evidence import VMCOREINFO, elf_note

SIZE, AT = 0x4000, 0x2000


def memory(note: bytes, at: int = AT) -> bytearray:
    content = bytearray(SIZE)
    struct.pack_into(">Q", content, 0xE0C, at)
    content[AT : AT + len(note)] = note
    return content[:SIZE]


def found(content: bytearray) -> bytes | None:
    return note_in(lambda address, size: bytes(content[address : address + size]))


def test_the_lowcore_leads_to_the_note():
    assert found(memory(elf_note(b"VMCOREINFO", 0, VMCOREINFO))) == VMCOREINFO


@pytest.mark.parametrize(
    "content",
    [
        bytearray(0xE10),
        memory(elf_note(b"VMCOREINFO", 0, VMCOREINFO), at=0),
        memory(elf_note(b"VMCOREINFO", 0, VMCOREINFO), at=SIZE - 8),
        memory(elf_note(b"VMCOREINFO", 0, VMCOREINFO), at=1 << 63),
        memory(elf_note(b"OTHERINFO\0", 0, VMCOREINFO)),
        memory(elf_note(b"VMCOREINFO", 0, bytes(0x1004))),
        memory(elf_note(b"VMCOREINFO", 0, VMCOREINFO))[: AT + 40],
    ],
    ids=["no pointer", "null", "at the end", "far behind", "another name", "too long", "cut"],
)
def test_other_bytes_are_not_a_note(content: bytearray):
    assert found(content) is None
