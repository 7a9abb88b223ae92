"""One crash, dumped in several formats: the real zgetdump and crash agree about the dumps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.dump.detect import open_dump
from harness.images.store import Store
from harness.judges import agreement
from harness.judges.crash.agreement import SAMPLES
from harness.judges.zgetdump import Zgetdump
from harness.report.verdict import Verdict
from tests.support.runs.dumped import CPUS, PAGES, QUIET, file_of

pytestmark = pytest.mark.e2e

REGISTERS = 69  # that crash shows of a CPU


def test_zgetdump_agrees_about_the_dump_and_its_partition(dumped: Callable[[str], Verdict]):
    verdict = dumped("elf")
    (check,) = [check for check in verdict.checks if check.check == "zgetdump"]
    assert check.passed
    assert check.compared > 2 * PAGES
    assert [note.partition(":")[0] for note in check.notes] == ["dump", "disk.img"]
    (check,) = [check for check in verdict.checks if check.check == "libkdumpfile"]
    assert check.passed
    assert check.skipped_reason is None
    assert json.loads((verdict.directory / "verdict.json").read_bytes()) == verdict.to_json()


def test_crash_agrees_about_the_dump(dumped: Callable[[str], Verdict]):
    (check,) = [check for check in dumped("elf").checks if check.check == "crash"]
    assert check.passed
    assert check.skipped_reason is None
    assert check.compared > CPUS * REGISTERS + SAMPLES
    assert [note.partition(" ")[0] for note in check.notes] == ["crash"]


def test_zgetdump_reports_a_wrong_dump(
    dumped: Callable[[str], Verdict], store: Store, tmp_path: Path
):
    path, damaged = file_of(dumped("elf")), tmp_path / "damaged"
    with path.open("rb") as whole:
        damaged.write_bytes(bytes(4096) + whole.read(1 << 20))
    with open_dump(path) as dump, Zgetdump(store, QUIET).judging(damaged, dump) as opinion:
        result = agreement.check(dump, opinion, QUIET)
    assert not result.passed
    assert opinion.info.status != 0
