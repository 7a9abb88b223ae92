"""Stand-alone dumps: registers in memory are allowed only in their own places."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from harness.verify.checks import dump_file, pages, registers
from harness.verify.checks import planted_content as content
from harness.verify.checks.crashed_kernel import vmcoreinfo
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.kinds import MemoryRange, PageOfDump
from harness.verify.run_checks import Check, run_checks
from tests.support.cpus import make_cpu
from tests.support.dumps.kdump import SUB_HEADER, kdump
from tests.support.dumps.s390 import compressed_segment, extended
from tests.support.evidence import MCESAD, MEMORY, PAGE, SyntheticRun, collect_again, crashed_memory
from tests.support.findings import details

VECTORS = (0x12_0000, 0x12_0400)  # of CPUs 0 and 1, in one page
PREFIXES = (0x10000, 0x18000)


@pytest.fixture
def run() -> SyntheticRun:
    return crash(VECTORS)


def crash(vectors: tuple[int, int]) -> SyntheticRun:
    memory = bytearray(crashed_memory())
    for prefix, address in zip(PREFIXES, vectors, strict=True):
        struct.pack_into(">Q", memory, prefix + MCESAD, address)
    return SyntheticRun(memory=bytes(memory), form="s390")


def checked(check: Check, root: Path) -> CheckResult:
    with Evidence.open(root) as evidence:
        return check(evidence)


def flip(root: Path, address: int) -> None:
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(PAGE + address)
        byte = dump.read(1)[0]
        dump.seek(PAGE + address)
        dump.write(bytes([byte ^ 0xFF]))


def test_a_right_dump_differs_where_registers_are_kept(tmp_path, run):
    root = run.write(tmp_path)
    with Evidence.open(root) as evidence:
        run = run_checks(evidence)
    assert run.passed, run.findings
    result = checked(pages.check, root)
    assert [allowed.where for allowed in result.allowed] == [
        "page 0x1000",
        "CPU 0's status area at 0x11200",
        "CPU 1's status area at 0x19200",
        "CPU 0's additional status area at 0x120000",
        "CPU 1's additional status area at 0x120400",
    ]
    assert all(
        "registers" in allowed.reason or "V0-V31" in allowed.reason for allowed in result.allowed
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (0x11200 + 0x80 + 7, "gpr0 is stored as"),
        (0x19200 + 0x108, "PSW address is stored as"),
        (0x19200 + 0x131, "clock comparator is stored as"),
        (0x19200 + 0x110, "byte 0x19310, of no register, is"),
        (VECTORS[0] + 8, "vr0 is stored as"),
        (VECTORS[1] + 511, "vr31 is stored as"),
        (0x191FF, "it differs outside of the status area 0x19200-0x193ff"),
        (
            VECTORS[0] + 512,
            "it differs outside of the additional status area 0x120000-0x1201ff and",
        ),
        (
            VECTORS[1] + 512,
            "it differs outside of the additional status area 0x120000-0x1201ff and",
        ),
        (0x150000, "the dump's content occurs nowhere"),
    ],
)
def test_a_wrong_byte_is_red(tmp_path, run, address, why):
    root = run.write(tmp_path)
    flip(root, address)
    result = checked(pages.check, root)
    assert not result.passed
    assert why in result.findings[1].message


def test_another_cpus_registers_are_red(tmp_path, run):
    run.dumped = SyntheticRun(
        memory=run.memory, form="s390", cpus=[run.cpus[0], replace(make_cpu(9), prefix=0x18000)]
    ).dumped_memory()
    result = checked(pages.check, run.write(tmp_path))
    assert [details(finding, PageOfDump).address for finding in result.findings[1:]] == [
        0x19000,
        0x120000,
    ]
    assert "CPU 1 had" in result.findings[1].message


def test_registers_that_were_not_stored_are_missed(tmp_path, run):
    run.dumped = replace(run, form="elf").dumped_memory()
    root = run.write(tmp_path)
    assert checked(pages.check, root).passed
    assert not checked(registers.check, root).passed


def test_an_elf_dump_must_not_have_them_in_memory(tmp_path, run):
    run.dumped, run.form = run.dumped_memory(), "elf"
    result = checked(pages.check, run.write(tmp_path))
    addresses = [details(finding, PageOfDump).address for finding in result.findings[1:]]
    assert addresses == [0x11000, 0x19000, 0x120000]


@pytest.mark.parametrize("address", [0, VECTORS[0] + 512, VECTORS[0] + 11, MEMORY])
def test_a_lowcore_that_names_no_area_allows_none(tmp_path, address):
    named, run = crash(VECTORS), crash((address, VECTORS[1]))
    stored = bytearray(run.dumped_memory())
    stored[VECTORS[0] : VECTORS[0] + 512] = named.dumped_memory()[VECTORS[0] : VECTORS[0] + 512]
    run.dumped = bytes(stored)
    result = checked(pages.check, run.write(tmp_path))
    assert [details(finding, PageOfDump).address for finding in result.findings[1:]] == [0x120000]


def test_a_cpu_that_was_never_started_has_no_area(tmp_path, run):
    run.cpus.append(replace(make_cpu(3), prefix=0))
    root = run.write(tmp_path)
    assert checked(pages.check, root).passed
    assert not any("CPU 2" in item.where for item in checked(pages.check, root).allowed)


def test_a_dump_without_its_end_is_red(tmp_path, run):
    root = run.write(tmp_path)
    assert checked(dump_file.check, root).passed
    os.truncate(root / "dump/dump", PAGE + MEMORY + 8)
    collect_again(root)
    result = checked(dump_file.check, root)
    assert "not written to its end" in result.findings[0].message


@pytest.mark.parametrize("form", ["elf", "s390"])
def test_a_dump_in_another_format_than_asked_for_is_red(tmp_path, run, form):
    root = replace(run, form=form).write(tmp_path)
    text = (root / "run.json").read_text()
    (root / "run.json").write_text(text.replace(f'"{form}"', '"s390_ext"'))
    (finding,) = checked(dump_file.check, root).findings
    assert finding.message == f"its format is {form}, the scenario asks for s390_ext"


def test_a_header_that_contradicts_itself_is_red(tmp_path, run):
    root = run.write(tmp_path)
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(0x30)
        dump.write(struct.pack(">I", 7))
    (finding,) = checked(dump_file.check, root).findings
    assert finding.message == "num_pages is 0x7, mem_size 0x400000"


def damaged(run: SyntheticRun, *entries: int) -> SyntheticRun:
    """A compressed dump, with these of its four entries, 1 MiB each, damaged."""
    segment = bytearray(compressed_segment(0, run.dumped_memory(), (1 << 64) - 1))
    for entry in entries:
        (block,) = struct.unpack_from(">I", segment, 0x34 + 4 * entry)
        at = PAGE + block * PAGE
        segment[at : at + 8] = bytes(8)
    dump = extended(MEMORY, [bytes(segment)], PREFIXES)
    return replace(run, form="s390_ext", content=dump)


def test_what_cannot_be_unpacked_is_a_finding_and_the_rest_is_compared(tmp_path, run):
    result = checked(pages.check, damaged(run, 1).write(tmp_path))
    (finding,) = result.findings
    assert finding.message.startswith("0x100000-0x1fffff not compared: ")
    assert "entry at offset 0x" in finding.message
    assert finding.details == MemoryRange(0x100000, 0x200000)
    assert result.compared == (MEMORY - 0x100000) // PAGE


def test_many_ranges_that_cannot_be_read_are_summed_up(tmp_path, run, monkeypatch):
    monkeypatch.setattr(pages, "_STEP", 0x10000)
    result = checked(pages.check, damaged(run, 1, 2).write(tmp_path))
    assert len(result.findings) == 17
    assert result.findings[-1].message == "and 16 more ranges that cannot be read"


def test_a_dump_that_cannot_be_searched_for_content_is_red(tmp_path, run):
    result = checked(content.check, replace(damaged(run, 1), content_seed=1).write(tmp_path))
    assert "the dump cannot be read: " in result.findings[0].message


def test_vmcoreinfo_that_cannot_be_read_is_red(tmp_path, run):
    dump = bytearray(kdump())
    dump[SUB_HEADER + 40 : SUB_HEADER + 48] = struct.pack(">Q", 1 << 40)
    result = checked(vmcoreinfo.check, replace(run, content=bytes(dump)).write(tmp_path))
    assert "1099511627776 bytes of VMCOREINFO" in result.findings[0].message
