"""Check a dump that has only a part of the machine's memory."""

from __future__ import annotations

import struct

import pytest

from harness.dump.formats.s390.reader import S390Dump
from tests.support.dumps import s390
from tests.support.dumps.alone import CRASHED, checked, limited_elf, read, reds, said
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import MEMORY, PAGE, vmcore


def test_a_dump_that_was_limited_is_one_finding_that_names_it():
    memory, prefixes = bytes(CRASHED.memory()), [cpu.prefix for cpu in CRASHED.cpus]
    whole = S390Dump(Memory(s390.plain(memory, prefixes), "it"))
    assert reds(checked(whole)) == set()
    content = bytearray(s390.plain(memory, prefixes))
    struct.pack_into(">Q", content, 0x54, 4 * MEMORY)  # mem_size_real
    results = checked(S390Dump(Memory(bytes(content), "it")))
    assert reds(results) == {"memory-map"}
    assert said(results) == (
        "the dump was limited: it has 0x400000 of the machine's 0x1000000 bytes of memory, "
        "0x400000-0xffffff is not in it"
    )


def test_checks_that_need_what_a_limited_dump_lacks_are_skipped():
    memory, prefixes = bytes(CRASHED.memory()), [cpu.prefix for cpu in CRASHED.cpus]
    content = bytearray(s390.plain(memory[: min(prefixes)], prefixes))
    struct.pack_into(">Q", content, 0x54, MEMORY)
    results = checked(S390Dump(Memory(bytes(content), "it")))
    assert reds(results) == {"memory-map"}
    assert "has no memory at 0x301200" in (results["headers"].skipped_reason or "")
    struct.pack_into(">Q", content, 0x28, MEMORY)  # mem_end contradicts mem_size
    assert "headers" in reds(checked(S390Dump(Memory(bytes(content), "it"))))


@pytest.mark.parametrize("limit", [PAGE, 0x180000, 0x300000, MEMORY - PAGE])
def test_an_elf_dump_that_was_limited_is_one_finding_that_names_it(limit: int):
    results = checked(read(limited_elf(limit)))
    assert reds(results) == {"memory-map"}
    (finding,) = results["memory-map"].findings
    assert finding.message.startswith(
        f"the dump was limited: it has {limit:#x} of the machine's 0x400000 bytes of memory, "
    )


def test_a_limit_that_the_memory_contradicts_is_a_contradiction():
    content = vmcore(bytes(CRASHED.memory()), CRASHED.cpus, limited=(MEMORY - PAGE, MEMORY))
    results = checked(read(content))
    assert "headers" in reds(results)
    assert "memory is limited to 0x3ff000, but a PT_LOAD ends at 0x400000" in said(results)
