"""Every bug of the museum has a well-formed patch, a scenario, and a section of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.host.paths import data_dir
from harness.images.kernel.spec import museum
from harness.scenario.load import load_all
from harness.scenario.model import Scenario

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/museum.md").read_text()
PATCHES = museum()
SCENARIOS = {path.stem: path for path in (data_dir() / "scenarios/museum").glob("*.toml")}
FIXED_BY = re.compile(r'^Fixed by ([0-9a-f]{12}) \("(.+)"\), Linux \d+\.\d+$', re.MULTILINE)
HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def scenario(name: str) -> Scenario:
    (loaded,) = load_all(str(SCENARIOS[name]))
    return loaded.scenario


NO_DUMP = "no dump"  # what follows from that in the other checks: docs/mutations.md
OF_NO_DUMP = (": is a dump ", "^superblock: checksum not compared: there is no readable dump$")


def test_each_patch_has_its_scenario():
    assert len(PATCHES) >= 8
    assert PATCHES.keys() == SCENARIOS.keys()


@pytest.mark.parametrize("name", PATCHES)
def test_a_scenario_brings_its_bug_back_and_expects_to_see_it(name: str):
    exhibit = scenario(name)
    assert exhibit.crashed.patches + exhibit.dump.patches == (name,)
    assert exhibit.expect.verdict == "FAIL"
    assert exhibit.expect.findings


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_says_what_it_brings_back_and_what_fixed_it(name: str):
    header, _, _ = PATCHES[name].read_text().partition("\n--- a/")
    (fix,) = FIXED_BY.findall(header)
    assert header.index("Fixed by") > len("a sentence")
    section = PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    assert fix[0] in section
    assert fix[1] in " ".join(section.split())


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_is_a_well_formed_unified_diff_of_one_file(name: str):
    before, after, *lines = PATCHES[name].read_text().partition("\n--- ")[2].splitlines()
    assert before.removeprefix("a/") == after.removeprefix("+++ b/")
    old = new = changed = 0
    for line in lines:
        if match := HUNK.match(line):
            assert old == new == 0
            old, new = (int(count or 1) for count in match.groups())
            continue
        assert line[:1] in {" ", "+", "-"}
        old -= line[0] != "+"
        new -= line[0] != "-"
        changed += line[0] != " "
    assert old == new == 0
    assert changed


@pytest.mark.parametrize("name", PATCHES)
def test_the_table_of_the_page_tells_which_check_sees_it(name: str):
    (row,) = re.findall(rf"^\| \[`{name}`\]\(#{name}\) \|.*$", PAGE, re.MULTILINE)
    for pattern in scenario(name).expect.findings:
        named = f"`{pattern.removeprefix('^').partition(':')[0]}`"
        assert (NO_DUMP if pattern.startswith(OF_NO_DUMP) else named) in row
