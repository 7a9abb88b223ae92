"""A dump of a system that stopped before its kernel had set VMCOREINFO."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.dump.describe import describe
from harness.dump.linux.early import early
from harness.dump.reader import Dump
from harness.verify.kinds import FindingKind
from tests.support.dumps.alone import CRASHED, OtherDump, checked, reds, said, segment
from tests.support.evidence import (
    IMAGE,
    MEMORY,
    OS_INFO_POINTER,
    PAGE,
    VMCORE_INFO_NOTE,
    VMCORE_INFO_POINTER,
)
from tests.support.kernels.crashed_kernel import OS_INFO, TEXT_OFFSET, CrashedKernel, put

IMAGE_AT = 0x180000
MARK = IMAGE_AT - TEXT_OFFSET | 1
LOADED = 0x10008


def dump_of(memory: bytearray, prefix: int | None = None) -> Dump:
    cpus = [cpu if prefix is None else replace(cpu, prefix=prefix) for cpu in CRASHED.cpus]
    return OtherDump([segment(0, MEMORY, bytes(memory))], cpus=cpus)


def memory_with(pointer: int, *, note: bool = False) -> bytearray:
    memory = CrashedKernel(layout={"image_phys": IMAGE[0]}).memory()
    put(memory, VMCORE_INFO_POINTER, ">Q", pointer)
    if not note:
        memory[VMCORE_INFO_NOTE : VMCORE_INFO_NOTE + PAGE] = bytes(PAGE)
    return memory


def test_an_early_dump_is_right_and_is_said_to_be_early():
    dump = dump_of(memory_with(0))
    results = checked(dump)
    assert reds(results) == set(), said(results)
    reason = results["vmcoreinfo"].skipped_reason or ""
    assert reason.startswith("the dump is early: Linux had not set VMCOREINFO yet")
    assert "memory, registers and prefixes can be judged" in reason
    assert results["prefixes"].compared == 2
    assert results["statements"].compared == 5
    described = describe(dump)
    assert described["early"] in reason
    assert described["unreadable"] == []


def test_the_mark_of_an_early_linux_is_one_of_its_statements():
    results = checked(dump_of(memory_with(IMAGE[0] - TEXT_OFFSET | 1)))
    assert reds(results) == set(), said(results)
    results = checked(dump_of(memory_with(MARK)))
    assert reds(results) == {"statements"}
    assert "_stext, absolute: 0x180000 (absolute lowcore), 0x100000 (os_info" in said(results)


def test_before_linux_is_unpacked_no_cpu_has_a_lowcore():
    memory = memory_with(0)
    put(memory, OS_INFO_POINTER, ">Q", 0)
    memory[LOADED : LOADED + 6] = b"S390EP"
    results = checked(dump_of(memory, prefix=0))
    assert reds(results) == set(), said(results)
    for name in ("prefixes", "statements"):
        assert (results[name].skipped_reason or "").startswith("early: ")


@pytest.mark.parametrize("prefix", [None, 0])
def test_a_note_that_nothing_points_to_is_no_early_dump(prefix: int | None):
    """The pointer was lost: memory has a note."""
    results = checked(dump_of(memory_with(0, note=True), prefix))
    assert "vmcoreinfo" in reds(results)
    (finding,) = results["vmcoreinfo"].findings
    assert finding.kind is FindingKind.VMCOREINFO_NOT_IN_MEMORY
    assert finding.message.endswith(f"although memory has one at {VMCORE_INFO_NOTE:#x}")


@pytest.mark.parametrize(
    "pointer", [OS_INFO, MARK + 2, MARK | 0x800, 1 << 40 | 1], ids=["even", "odd", "half", "far"]
)
def test_a_pointer_to_no_note_is_not_early(pointer: int):
    dump = dump_of(memory_with(pointer))
    assert early(dump) is None
    results = checked(dump)
    assert reds(results) == {"vmcoreinfo"}
    assert said(results) == "the dump has no VMCOREINFO"


def test_memory_without_a_sign_of_linux_is_not_early():
    memory = memory_with(0)
    put(memory, OS_INFO_POINTER, ">Q", 0)
    assert early(dump_of(memory)) is None
    put(memory, OS_INFO_POINTER, ">Q", OS_INFO + PAGE)
    assert early(dump_of(memory)) is None


def test_a_dump_with_vmcoreinfo_is_not_early():
    dump = dump_of(CrashedKernel().memory())
    assert early(dump) is None
    assert describe(dump)["early"] is None
