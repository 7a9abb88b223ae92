"""A dump that the scenario limits must have exactly what the limit promises, and must say so."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from harness.verify.evidence import Evidence
from harness.verify.findings import Finding
from harness.verify.kinds import FindingKind
from harness.verify.run_checks import run_checks
from tests.support.cpus import make_cpu
from tests.support.evidence import (
    IDENTITY,
    IMAGE,
    KERNEL_IMAGE,
    MEMORY,
    PAGE,
    SyntheticRun,
    s390_dump,
    stored,
    vmcore,
)

LIMIT = 2 << 20  # below the lowcore of each CPU
CUT = IMAGE[0] + 5 * PAGE  # within the kernel's image
END = (LIMIT, MEMORY)
PREFIXES = (0x10000, 0x18000)


def findings(run: SyntheticRun, root: Path) -> tuple[Finding, ...]:
    with Evidence.open(run.write(root)) as evidence:
        return run_checks(evidence).findings


def kinds(run: SyntheticRun, root: Path) -> dict[FindingKind, str]:
    return {finding.kind: finding.check for finding in findings(run, root)}


def elf(limit: int | None, to: int, *, says: tuple[int, int] | None) -> SyntheticRun:
    """An ELF dump with memory up to ``to``, of a scenario with this limit."""
    run = SyntheticRun(parmline="" if limit is None else f"dump_mem={limit}")
    loads = [
        replace(load, size=min(load.size, to - load.paddr))
        for load in (KERNEL_IMAGE, IDENTITY)
        if load.paddr < to
    ]
    cpus = [stored(cpu) for cpu in run.cpus]
    run.content = vmcore(run.dumped_memory(), cpus, loads=loads, limited=says)
    return run


def standalone(
    limit: int | None, to: int, *, real: int = MEMORY, prefixes: tuple[int, ...] = PREFIXES
) -> SyntheticRun:
    """An s390 dump with memory up to ``to``, whose header says what the machine had."""
    parmline = "" if limit is None else f"dump_mem={limit}"
    run = SyntheticRun(form="s390", parmline=parmline)
    run.cpus = [  # an s390 dump has no vector registers of a CPU without an area for them
        replace(make_cpu(number), prefix=prefix, vxrs_low=None, vxrs_high=None)
        for number, prefix in enumerate(prefixes, 1)
    ]
    content = bytearray(s390_dump(run.dumped_memory()[:to], run.cpus))
    struct.pack_into(">Q", content, 0x54, real)
    run.content = bytes(content)
    return run


@pytest.mark.parametrize("limit", [PAGE, IMAGE[0], CUT, LIMIT, MEMORY - PAGE])
def test_a_limited_elf_dump_passes(tmp_path: Path, limit: int):
    assert findings(elf(limit, limit, says=(limit, MEMORY)), tmp_path) == ()


@pytest.mark.parametrize("limit", [PAGE, LIMIT, MEMORY - PAGE])
def test_a_limited_s390_dump_passes(tmp_path: Path, limit: int):
    assert findings(standalone(limit, limit), tmp_path) == ()


@pytest.mark.parametrize("limit", [MEMORY, MEMORY + PAGE, 1 << 50, 1, 0])
def test_a_limit_that_leaves_out_nothing_promises_all_memory(tmp_path: Path, limit: int):
    assert findings(elf(limit, MEMORY, says=None), tmp_path / "whole") == ()
    short = elf(limit, MEMORY - PAGE, says=(MEMORY - PAGE, MEMORY))
    assert FindingKind.MEMORY_GAP in kinds(short, tmp_path / "short")


WRONG = {
    "shorter than promised": (
        elf(LIMIT, LIMIT - PAGE, says=(LIMIT - PAGE, MEMORY)),
        {FindingKind.MEMORY_GAP, FindingKind.LIMIT_UNASKED, FindingKind.LIMIT_UNTOLD},
    ),
    "shorter than it says": (elf(LIMIT, LIMIT - PAGE, says=END), {FindingKind.MEMORY_GAP}),
    "longer than promised": (
        elf(LIMIT, LIMIT + PAGE, says=(LIMIT + PAGE, MEMORY)),
        {FindingKind.MEMORY_BEYOND_END, FindingKind.LIMIT_UNASKED, FindingKind.LIMIT_UNTOLD},
    ),
    "longer than it says": (
        elf(LIMIT, LIMIT + PAGE, says=END),
        {FindingKind.MEMORY_BEYOND_END, FindingKind.CONTRADICTION},
    ),
    "not limited": (
        elf(LIMIT, MEMORY, says=None),
        {FindingKind.MEMORY_BEYOND_END, FindingKind.LIMIT_UNTOLD},
    ),
    "silently limited": (elf(LIMIT, LIMIT, says=None), {FindingKind.LIMIT_UNTOLD}),
    "limited, not asked": (
        elf(None, LIMIT, says=END),
        {FindingKind.MEMORY_GAP, FindingKind.LIMIT_UNASKED, FindingKind.IMAGE_MISPLACED},
    ),
    "whole, but says that it is limited": (
        elf(None, MEMORY, says=(MEMORY, MEMORY + PAGE)),
        {FindingKind.LIMIT_UNASKED},
    ),
    "s390, shorter than promised": (
        standalone(LIMIT, LIMIT - PAGE),
        {FindingKind.MEMORY_GAP, FindingKind.LIMIT_UNASKED, FindingKind.LIMIT_UNTOLD},
    ),
    "s390, longer than promised": (
        standalone(LIMIT, LIMIT + PAGE),
        {FindingKind.MEMORY_BEYOND_END, FindingKind.LIMIT_UNASKED, FindingKind.LIMIT_UNTOLD},
    ),
    "s390, silently limited": (
        standalone(LIMIT, LIMIT, real=LIMIT),
        {FindingKind.LIMIT_UNTOLD},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_dump_that_breaks_the_promise_fails(tmp_path: Path, name: str):
    run, wanted = WRONG[name]
    found = set(kinds(run, tmp_path))
    assert found >= wanted - {FindingKind.IMAGE_MISPLACED}
    assert found <= wanted | {FindingKind.UNREADABLE}


def test_memory_below_the_limit_is_compared(tmp_path: Path):
    run = elf(LIMIT, LIMIT, says=END)
    assert run.content is not None
    content = bytearray(run.content)
    content[-PAGE] ^= 1
    run.content = bytes(content)
    found = kinds(run, tmp_path)
    assert set(found.values()) == {"pages"}


def test_registers_that_are_kept_below_the_limit_are_compared(tmp_path: Path):
    run = standalone(LIMIT, LIMIT, prefixes=(0x10000, MEMORY - 2 * PAGE))
    near = run.cpus[0]
    assert run.content is not None
    content = bytearray(run.content)
    with Evidence.open(run.write(tmp_path / "right")) as evidence:
        checked = {result.check: result for result in run_checks(evidence).dump}
    assert checked["registers"].passed
    assert checked["registers"].compared > 50
    (note, *_) = checked["registers"].notes
    assert note.startswith("registers of CPU 1 are kept in memory above 0x200000, to which")
    content[PAGE + near.prefix + 0x1280 + 7] ^= 1  # gpr0
    run.content = bytes(content)
    assert "registers" in kinds(run, tmp_path / "wrong").values()
