"""Each way of breaking a dump turns the named check red, and nothing turns a right one red."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.s390x.zipl import cksm
from harness.verify.evidence import Evidence
from harness.verify.judge import Judgement, judge
from tests.unit.evidence import (
    EMPTY,
    IMAGE,
    MEMORY,
    PAGE,
    SyntheticRun,
    collect_again,
    file_offset,
    flip,
    stored,
)

VICTIM = 0x180000  # a page outside of kernel image and hole
NEEDS_DUMP = {"dump-file", "superblock", "memory-map", "pages", "registers", "vmcoreinfo"}


def judged(root: Path) -> Judgement:
    with Evidence.open(root) as evidence:
        return judge(evidence)


def red(judgement: Judgement) -> set[str]:
    return {result.check for result in judgement.results if not result.passed}


def messages(judgement: Judgement, check: str) -> str:
    return "\n".join(item.message for item in judgement.findings if item.check == check)


def copy_page(path: Path, source: int, target: int) -> None:
    with path.open("r+b") as file:
        file.seek(source)
        page = file.read(PAGE)
        file.seek(target)
        file.write(page)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def flipped_byte(root: Path) -> None:
    flip(root / "dump/dump", file_offset(VICTIM + 0x123))


def shifted_page(root: Path) -> None:
    copy_page(root / "dump/dump", file_offset(VICTIM - PAGE), file_offset(VICTIM))


def truncated_file(root: Path) -> None:
    os.truncate(root / "dump/dump", file_offset(MEMORY - 3 * PAGE))
    collect_again(root)


def stale_checksum(root: Path) -> None:
    """As it was when the busy marker stood at the dump's beginning."""
    stale = cksm(b"zfcpdump busy\0".ljust(PAGE, b"\0"))
    overwrite(root / "dump/superblock.bin", 64, stale.to_bytes(8, "big"))


def torn_write(root: Path) -> None:
    """The tool ended before it wrote the first 4 KiB."""
    overwrite(root / "dump/dump", 0, b"zfcpdump busy\0".ljust(PAGE, b"\0"))


def hole_instead_of_data(root: Path) -> None:
    overwrite(root / "dump/dump", file_offset(VICTIM), bytes(PAGE))


def data_instead_of_hole(root: Path) -> None:
    overwrite(root / "dump/dump", file_offset(EMPTY[0] + 5 * PAGE), b"\1")


def kernel_image_copy_flipped(root: Path) -> None:
    """Only in the second PT_LOAD, which repeats the kernel image."""
    flip(root / "dump/dump", file_offset(0) - (IMAGE[1] - IMAGE[0]))


def lost_dump(root: Path) -> None:
    (root / "dump/dump").unlink()
    collect_again(root)


def wrecked_disk(root: Path) -> None:
    """Nothing leads to the superblock any more."""
    (root / "dump/superblock.bin").unlink()
    (root / "dump/dump").unlink()
    collect_again(root, superblock_at=None)


def missing_cpu(run: SyntheticRun) -> None:
    run.dumped_cpus = [stored(run.cpus[0])]


def duplicated_cpu(run: SyntheticRun) -> None:
    run.dumped_cpus = [stored(run.cpus[0])] * 2


def wrong_prefix(run: SyntheticRun) -> None:
    first, second = map(stored, run.cpus)
    run.dumped_cpus = [first, replace(second, prefix=0x7E0000)]


def lost_vmcoreinfo(run: SyntheticRun) -> None:
    run.vmcoreinfo = None


@dataclass(frozen=True)
class Mutation:
    """``run`` changes what is written, ``files`` what was; ``says`` is in the named finding."""

    red: set[str]
    says: tuple[str, ...]
    run: Callable[[SyntheticRun], None] | None = None
    files: Callable[[Path], None] | None = None


MUTATIONS = {
    "flipped byte": Mutation({"pages"}, ("page 0x180000", "at 0x180123"), files=flipped_byte),
    "shifted page": Mutation(
        {"pages"},
        ("page 0x180000", "that of page 0x17f000 (shifted by +0x1000)"),
        files=shifted_page,
    ),
    "missing CPU": Mutation({"registers"}, ("CPU 1 (prefix 0x18000) is missing",), run=missing_cpu),
    "duplicated CPU": Mutation(
        {"registers"},
        ("CPU 1 (prefix 0x18000) is missing", "entry 1 (prefix 0x10000) repeats entry 0"),
        run=duplicated_cpu,
    ),
    "wrong prefix": Mutation(
        {"registers"},
        ("CPU 1: prefix is 007e0000 in the dump, 00018000 at the crash",),
        run=wrong_prefix,
    ),
    "truncated file": Mutation(
        {"dump-file", "pages"}, ("0x3fd000-0x3fffff not compared",), files=truncated_file
    ),
    "stale checksum": Mutation({"superblock"}, ("checksum is 0x",), files=stale_checksum),
    "torn write": Mutation(NEEDS_DUMP, ("begun and never finished",), files=torn_write),
    "hole instead of data": Mutation(
        {"pages"},
        ("1 of", "page 0x180000", "nothing but 0x00"),
        files=hole_instead_of_data,
    ),
    "data instead of hole": Mutation({"pages"}, ("page 0x205000",), files=data_instead_of_hole),
    "kernel image's copy": Mutation({"pages"}, ("page 0x100000",), files=kernel_image_copy_flipped),
    "lost VMCOREINFO": Mutation(
        {"vmcoreinfo"}, ("no VMCOREINFO note; the crashed memory has one",), run=lost_vmcoreinfo
    ),
    "wrecked disk": Mutation(
        NEEDS_DUMP,
        ("left no dump: what was there", "no dump superblock any more: what was there"),
        files=wrecked_disk,
    ),
    "lost dump": Mutation(NEEDS_DUMP, ("left no dump",), files=lost_dump),
}


@pytest.mark.parametrize("layout", ["partition", "ext4"])
def test_right_dump_is_green(tmp_path: Path, layout: str):
    judgement = judged(SyntheticRun(layout=layout).write(tmp_path))
    assert judgement.findings == ()
    assert judgement.passed
    by_check = {result.check: result for result in judgement.results}
    pages = by_check["pages"]
    assert pages.compared == (MEMORY + IMAGE[1] - IMAGE[0]) // PAGE
    assert [difference.where for difference in pages.allowed] == ["page 0x1000"]
    assert by_check["registers"].compared == 2 * (2 + 4 * 16 + 5 + 2 * 16)
    assert (by_check["superblock"].skipped_reason is None) == (layout == "partition")


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_red_in_the_named_check(tmp_path: Path, name: str):
    mutation = MUTATIONS[name]
    run = SyntheticRun()
    if mutation.run is not None:
        mutation.run(run)
    run.write(tmp_path)
    if mutation.files is not None:
        mutation.files(tmp_path)
    judgement = judged(tmp_path)
    assert not judgement.passed
    assert red(judgement) == mutation.red
    said = "\n".join(messages(judgement, check) for check in mutation.red)
    for fragment in mutation.says:
        assert fragment in said


ALLOWED_DIFFERENCE = {
    "before the status area": (0x11FF, "outside of the status area"),
    "behind the status area": (0x1400, "outside of the status area"),
    "in a register": (0x1200 + 0x80 + 3 * 8, "gpr3 is stored as"),
    "in the last register": (0x13FF, "cr15 is stored as"),
    "in the prefix": (0x1318, "prefix is stored as"),
    "in the clock comparator": (0x1337, "clock comparator is stored as"),
    "between registers": (0x1310, "byte 0x1310, of no register"),
}


@pytest.mark.parametrize("name", ALLOWED_DIFFERENCE)
def test_status_area_hides_no_real_difference(tmp_path: Path, name: str):
    address, fragment = ALLOWED_DIFFERENCE[name]
    SyntheticRun().write(tmp_path)
    flip(tmp_path / "dump/dump", file_offset(address))
    judgement = judged(tmp_path)
    assert red(judgement) == {"pages"}
    assert fragment in messages(judgement, "pages")


def test_lost_bits_of_clock_comparator_hide_no_real_difference(tmp_path: Path):
    run = SyntheticRun()
    cpu = stored(run.cpus[1])
    changed = replace(cpu, clock_comparator=cpu.clock_comparator ^ 1)
    run.dumped_cpus = [stored(run.cpus[0]), changed]
    assert red(judged(run.write(tmp_path))) == {"registers"}


def test_cpu_that_was_never_started_is_not_expected(tmp_path: Path):
    run = SyntheticRun()
    run.cpus.append(replace(run.cpus[1], prefix=0))
    judgement = judged(run.write(tmp_path))
    assert judgement.passed
    registers = next(result for result in judgement.results if result.check == "registers")
    assert "CPU 2" in [difference.where for difference in registers.allowed]


def test_unstarted_cpu_in_the_dump_is_surplus(tmp_path: Path):
    run = SyntheticRun()
    run.cpus.append(replace(run.cpus[1], prefix=0, fpc=1))
    run.dumped_cpus = [stored(cpu) for cpu in run.cpus]
    judgement = judged(run.write(tmp_path))
    assert red(judgement) == {"registers"}
    assert "none of the machine's CPUs" in messages(judgement, "registers")
