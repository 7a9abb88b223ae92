"""Every register of every CPU, damaged in turn in a dump of each format: the check names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from harness.dump.detect import read_dump
from harness.s390x.cpu import CpuState
from harness.verify.checks import registers
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.kinds import RegisterOfDump
from tests.support.cpus import make_cpu
from tests.support.dumps.byte_source import Memory
from tests.support.dumps.s390 import compressed_segment, extended, plain, store
from tests.support.evidence import SyntheticRun, stored, vmcore
from tests.support.findings import details

SIZE = 1 << 20
CPUS = (make_cpu(1), make_cpu(2), make_cpu(3))
VECTORS = (0x40000, 0x40400, 0x40800)
REGISTERS_PER_CPU = 103


def in_memory(cpus: list[CpuState]) -> bytes:
    """With each CPU's registers in its lowcore, wherever that CPU says that its own is."""
    memory = bytearray(SIZE)
    for cpu, right, vectors_at in zip(cpus, CPUS, VECTORS, strict=True):
        # a dump in these formats has the right prefix in its header, and finds the CPU by it
        there = bytearray(SIZE)
        store(there, cpu, vectors_at)
        at = cpu.prefix
        memory[right.prefix : right.prefix + 0x2000] = there[at : at + 0x2000]
        memory[vectors_at : vectors_at + 512] = there[vectors_at : vectors_at + 512]
    return bytes(memory)


PREFIXES = [cpu.prefix for cpu in CPUS]
FORMATS: dict[str, Callable[[list[CpuState]], bytes]] = {
    "elf": lambda cpus: vmcore(b"", cpus, loads=()),
    "s390": lambda cpus: plain(in_memory(cpus), PREFIXES),
    "s390_ext": lambda cpus: extended(
        SIZE, [compressed_segment(0, in_memory(cpus), SIZE)], PREFIXES
    ),
}


@pytest.fixture
def evidence(tmp_path) -> Iterator[Evidence]:
    with Evidence.open(SyntheticRun(cpus=list(CPUS)).write(tmp_path)) as found:
        yield found


def checked(evidence: Evidence, form: str, cpus: list[CpuState]) -> CheckResult:
    dump = read_dump(Memory(FORMATS[form](cpus), "dump"))
    assert dump.format == form
    return registers.check(replace(evidence, dump=dump))


def damaged(cpu: CpuState) -> Iterator[tuple[str, CpuState]]:
    """Name of each register, and the CPU with one bit of it flipped."""
    names = [pair.name for pair in registers.paired_registers(cpu, cpu)]
    yield from zip(names, _flipped(cpu), strict=True)


def _flipped(cpu: CpuState) -> Iterator[CpuState]:
    for field in fields(CpuState):
        value: Any = getattr(cpu, field.name)
        if isinstance(value, tuple):
            for at, each in enumerate(value):
                yield replace(cpu, **{field.name: (*value[:at], each ^ 2, *value[at + 1 :])})
        else:
            # a prefix is a multiple of 8 KiB: another one is another lowcore
            bit = 0x80000 if field.name == "prefix" else 2
            yield replace(cpu, **{field.name: value ^ bit})


@pytest.mark.parametrize("form", FORMATS)
def test_no_register_is_zero_and_all_are_right(evidence, form):
    result = checked(evidence, form, [stored(cpu) for cpu in CPUS])
    assert result.findings == ()
    assert result.compared == result.nonzero == len(CPUS) * REGISTERS_PER_CPU


@pytest.mark.parametrize("at", range(len(CPUS)))
@pytest.mark.parametrize("form", FORMATS)
def test_each_register_that_is_damaged_is_named(evidence, form, at):
    right = [stored(cpu) for cpu in CPUS]
    seen = 0
    for name, wrong in damaged(right[at]):
        result = checked(evidence, form, [*right[:at], wrong, *right[at + 1 :]])
        (finding,) = result.findings
        told = details(finding, RegisterOfDump)
        assert (told.cpu, told.register) == (at, name)
        seen += 1
    assert seen == REGISTERS_PER_CPU


@pytest.mark.parametrize("at", range(len(CPUS)))
def test_vector_registers_that_a_dump_has_lost_are_each_named(evidence, at):
    right = [stored(cpu) for cpu in CPUS]
    lost = [*right[:at], right[at].without_vectors(), *right[at + 1 :]]
    found = [details(each, RegisterOfDump) for each in checked(evidence, "elf", lost).findings]
    assert len(found) == 32
    assert {told.cpu for told in found} == {at}
    assert {told.dump for told in found} == {None}
