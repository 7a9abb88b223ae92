"""One crash, dumped and converted in every format: all dumps are equal.

All formats on all layouts, with a table of sizes and speeds: ``benchmarks/formats.py --judges``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.images.store import Store
from harness.inspect.compare import compare
from harness.judges import agreement
from harness.judges.zgetdump import Zgetdump
from harness.report.verdict import Verdict
from tests.support.dumps.lkcd import END_MARKER, header, page_of
from tests.support.runs.dumped import DUMPS, PAGES, QUIET, file_of

pytestmark = pytest.mark.e2e


def test_all_dumps_of_a_crash_are_equal(dumped: Callable[[str], Verdict], tmp_path: Path):
    files = {name: file_of(dumped(name)) for name in DUMPS}
    for form in ("elf", "s390", "s390_ext"):
        source = files["s390_ext on ext4" if form == "elf" else "elf"]
        files[f"converted to {form}"] = tmp_path / form
        with open_dump(source) as dump:
            convert(dump, tmp_path / form, form, QUIET)
    files["lkcd"] = lkcd_of(files["s390 on ext4"], tmp_path / "lkcd")
    for one, other in combinations(files, 2):
        with open_dump(files[one]) as first, open_dump(files[other]) as second:
            results = compare(first, second, QUIET)
        differences = [finding.message for result in results for finding in result.findings]
        assert differences == [], f"{one} and {other}"
        assert results[1].compared >= PAGES


def lkcd_of(source: Path, target: Path) -> Path:
    """An LKCD dump of the same crash; registers are in memory, as in a stand-alone dump."""
    with open_dump(source) as dump, target.open("wb") as file:
        file.write(header(cpus=dump.cpus, mem_end=PAGES * 4096))
        for number in range(PAGES):
            file.write(page_of(number, dump.read(number * 4096, 4096)))
        file.write(END_MARKER)
    return target


def test_zgetdump_agrees_about_what_the_dump_tool_writes_itself(
    dumped: Callable[[str], Verdict], store: Store
):
    path = file_of(dumped("s390 on ext4"))
    with open_dump(path) as dump, Zgetdump(store, QUIET).judging(path, dump) as opinion:
        result = agreement.check(dump, opinion, QUIET)
        assert set(opinion.converted) == {"elf", "s390"}
    assert [finding.message for finding in result.findings] == []
    assert result.compared > 2 * PAGES
