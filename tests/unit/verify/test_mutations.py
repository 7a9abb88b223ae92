"""Each mutation of a dump makes the named checks red; for a right dump all checks are green."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.inspect import check as alone
from harness.inspect import check_linux, compare, page_statistics
from harness.verify import differing
from harness.verify.checks.crashed_kernel import statements
from harness.verify.evidence import Evidence
from harness.verify.run_checks import DUMP_CHECKS, CheckedRun, run_checks
from tests.mutations.commands import Verdicts, verdicts
from tests.mutations.document import DOCUMENT, current
from tests.mutations.mutation import REFUSED
from tests.mutations.right import FORMS, Broken
from tests.mutations.table import MUTATIONS
from tests.support.evidence import (
    IMAGE,
    MEMORY,
    PAGE,
    SyntheticRun,
    collect_again,
    file_offset,
    flip,
    stored,
)

NO_DUMP = {"dump-file", "memory-map", "pages", "registers", "vmcoreinfo"}
BY_NAME = {f"{mutation.name}, {mutation.where}": mutation for mutation in MUTATIONS}


def checks_of(root: Path) -> CheckedRun:
    with Evidence.open(root) as evidence:
        return run_checks(evidence)


def red(checked: CheckedRun) -> set[str]:
    return {result.check for result in checked.results if not result.passed}


def messages(checked: CheckedRun, check: str) -> str:
    return "\n".join(item.message for item in checked.findings if item.check == check)


def all_red(found: Verdicts) -> dict[str, frozenset[str]]:
    return {name: getattr(found, name).red for name in ("verify", "check", "compare")}


@pytest.mark.parametrize("layout", ["partition", "ext4"])
def test_right_dump_is_green(tmp_path: Path, layout: str):
    checked = checks_of(SyntheticRun(layout=layout).write(tmp_path))
    assert checked.findings == ()
    assert checked.passed
    by_check = {result.check: result for result in checked.results}
    pages = by_check["pages"]
    assert pages.compared == (MEMORY + IMAGE[1] - IMAGE[0]) // PAGE
    assert [difference.where for difference in pages.allowed] == ["page 0x1000"]
    assert by_check["registers"].compared == 2 * (2 + 4 * 16 + 5 + 2 * 16)
    assert (by_check["superblock"].skipped_reason is None) == (layout == "partition")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("on_partition", [False, True], ids=["file", "partition"])
def test_right_dump_is_green_for_every_command(tmp_path: Path, form: str, on_partition: bool):
    found = verdicts(Broken(form, on_partition=on_partition), tmp_path)
    assert not any(all_red(found).values()), found


@pytest.mark.parametrize("form", FORMS)
def test_the_rest_of_an_older_dump_behind_a_right_one_is_ignored(tmp_path: Path, form: str):
    broken = Broken(form, on_partition=True)
    broken.data += broken.data[PAGE:]
    found = verdicts(broken, tmp_path)
    assert not any(all_red(found).values()), found


@pytest.mark.parametrize("name", BY_NAME)
def test_mutation_is_red_in_the_named_checks(tmp_path: Path, name: str):
    mutation = BY_NAME[name]
    broken = Broken(mutation.form, on_partition=mutation.on_partition)
    mutation.change(broken)
    found = verdicts(broken, tmp_path)
    assert all_red(found) == mutation.expected
    said = "\n".join((found.verify.text, found.check.text, found.compare.text))
    for fragment in mutation.says:
        assert fragment in said


def test_there_are_many_mutations_of_every_format_and_verify_sees_all():
    assert len(BY_NAME) == len(MUTATIONS) >= 30
    assert {mutation.form for mutation in MUTATIONS} == set(FORMS)
    assert all(mutation.verify for mutation in MUTATIONS)


NOT_BROKEN_HERE = {
    "verify": {
        "outcome",
        "console",
        "content",
        "semantic",
        "witnesses",
        "files",
    },  # not of the dump, or another oracle
    "check": {alone.SHA256},  # of ngdump's file system alone
    "compare": set(),
}


def test_every_check_sees_something(tmp_path: Path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        of_verify = {check(evidence).check for check in DUMP_CHECKS}
    of_check = {alone.HEADERS, alone.MAP, alone.COMPLETE, alone.REPEATS, "superblock"}
    of_check |= {check_linux.PREFIXES, check_linux.PSWS, check_linux.VMCOREINFO}
    of_check |= {
        statements.CHECK,
        check_linux.TABLES,
        check_linux.LOG,
        page_statistics.CHECK,
        alone.SHA256,
    }
    of_compare = {compare.MAP, differing.CHECK, compare.REGISTERS, compare.VMCOREINFO}
    for command, checks in (("verify", of_verify), ("check", of_check), ("compare", of_compare)):
        seen = {check for mutation in MUTATIONS for check in mutation.expected[command]}
        assert seen - {REFUSED} == checks - NOT_BROKEN_HERE[command]


def test_the_document_has_the_table_as_it_is():
    assert DOCUMENT.read_text() == current(), "python -m tests.mutations writes it anew"


def test_lost_dump_is_red(tmp_path: Path):
    SyntheticRun().write(tmp_path)
    (tmp_path / "dump/dump").unlink()
    collect_again(tmp_path)
    checked = checks_of(tmp_path)
    assert red(checked) == {*NO_DUMP, "superblock"}
    assert "left no dump" in messages(checked, "dump-file")


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
    checked = checks_of(tmp_path)
    assert red(checked) == {"pages"}
    assert fragment in messages(checked, "pages")


def test_lost_bits_of_clock_comparator_hide_no_real_difference(tmp_path: Path):
    run = SyntheticRun()
    cpu = stored(run.cpus[1])
    changed = replace(cpu, clock_comparator=cpu.clock_comparator ^ 1)
    run.dumped_cpus = [stored(run.cpus[0]), changed]
    assert red(checks_of(run.write(tmp_path))) == {"registers"}


def test_cpu_that_was_never_started_is_not_expected(tmp_path: Path):
    run = SyntheticRun()
    run.cpus.append(replace(run.cpus[1], prefix=0))
    checked = checks_of(run.write(tmp_path))
    assert checked.passed
    registers = next(result for result in checked.results if result.check == "registers")
    assert "CPU 2" in [difference.where for difference in registers.allowed]


def test_unstarted_cpu_in_the_dump_is_surplus(tmp_path: Path):
    run = SyntheticRun()
    run.cpus.append(replace(run.cpus[1], prefix=0, fpc=1))
    run.dumped_cpus = [stored(cpu) for cpu in run.cpus]
    checked = checks_of(run.write(tmp_path))
    assert red(checked) == {"registers"}
    assert "none of the machine's CPUs" in messages(checked, "registers")
