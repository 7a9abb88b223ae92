"""Every patch of a made-up fault has a scenario, and every scenario a row on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.faults.fault import FaultKind
from harness.faults.table import FAULTS
from harness.host.paths import data_dir
from harness.images.kernel.spec import museum, own_patches
from harness.scenario.load import load_all
from harness.scenario.model import Scenario

PAGE = (Path(__file__).parents[3] / "docs/faults.md").read_text()
PATCHES = {name: path for name, path in own_patches().items() if name not in museum()}
SCENARIOS = {path.stem: path for path in (data_dir() / "scenarios/faults").glob("*.toml")}


def scenario(name: str) -> Scenario:
    (loaded,) = load_all(str(SCENARIOS[name]))
    return loaded.scenario


def test_each_patch_has_a_scenario():
    used = {name for each in SCENARIOS for name in patches(scenario(each))}
    assert len(PATCHES) >= 6
    assert used == PATCHES.keys()


def patches(of: Scenario) -> tuple[str, ...]:
    return of.crashed.patches + of.dump.patches


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_begins_with_what_it_breaks(name: str):
    subject, empty, text = PATCHES[name].read_text().partition("\n--- a/")[0].split("\n", 2)
    assert subject.endswith(".")
    assert empty == ""
    assert text.strip().endswith(".")


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_tells_the_outcome_and_which_check_sees_it(name: str):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    expect = scenario(name).expect
    assert f"| {expect.verdict} |" in row
    for pattern in expect.findings:
        if pattern.startswith("^") and "there is no readable dump" not in pattern:
            assert f"`{pattern.removeprefix('^').partition(':')[0]}`" in row


OF_MACHINE = [
    each.scenario
    for path in sorted((data_dir() / "scenarios/machine").glob("*.toml"))
    for each in load_all(str(path))
]


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_each_kind_of_fault_has_a_scenario_and_a_row(kind: FaultKind):
    found = [
        scenario
        for scenario in OF_MACHINE
        if kind in (fault.kind for fault in scenario.faults.injected)
    ]
    assert found
    (row,) = re.findall(rf"^\| `{kind.name}` \| .*$", PAGE, re.MULTILINE)
    assert f"| {kind.promise} |" in row
    assert all(("**FAIL**" in row) is (scenario.expect.verdict == "FAIL") for scenario in found)
