"""explain names the right cause: of each bug of the museum, and of each fault on purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.host.paths import data_dir
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

SECONDS = 6000
# what docs/museum.md says of each bug: the first sign of it that anybody can see from outside
FIRST = {
    "copy-no-advance": r"^outcome: the dump system did not finish: failed; .* Bad address",
    "copy-returns-zero": r"^outcome: the dump system did not finish: failed; .* Bad address",
    "hsa-as-source": r"^outcome: 4 SDIAS requests came after the HSA's release",
    "hsa-kept": r"^outcome: the HSA was not released",
    "kernel-segment-empty": r"^memory-map: PT_LOAD 0 .* is empty",
    "oldmem-as-source": r"^memory-map: no PT_LOAD has the kernel's image",
    "os-info-unread": r"^memory-map: no PT_LOAD has the kernel's image",
    "os-info-virtual-address": r"^statements: os_info: ",  # in the crashed kernel
    "sdias-virtual-address": r"^outcome: 4 SDIAS requests came after the HSA's release",
    "todpreg-eight-bytes": r"^registers: CPU 0: ELF note 0x303",
}


def runs_of(zharness: Zharness, tmp_path: Path, directory: str) -> list[dict[str, str]]:
    pattern = str(data_dir() / "scenarios" / directory / "*.toml")
    done = zharness("run", pattern, "--json", "--output", tmp_path / "runs", timeout=SECONDS)
    assert done.code == 0, done.err
    return list(done.json["runs"])


def test_the_cause_of_every_bug_of_the_museum(zharness: Zharness, images: object, tmp_path: Path):
    found = {
        run["name"]: zharness("explain", run["directory"], "--json").json["first"]
        for run in runs_of(zharness, tmp_path, "museum")
    }
    assert found.keys() == FIRST.keys()
    wrong = {name: first for name, first in found.items() if not re.search(FIRST[name], first)}
    assert wrong == {}


def test_the_cause_of_every_fault_on_purpose(zharness: Zharness, images: object, tmp_path: Path):
    causes = {
        run["name"]: zharness("explain", run["directory"], "--json").json["cause"]
        for run in runs_of(zharness, tmp_path, "machine")
    }
    right = {name for name, cause in causes.items() if cause and cause.startswith("on purpose: ")}
    survived = {name for name, cause in causes.items() if cause is None}
    assert len(right) >= 20
    assert right | survived == causes.keys(), causes
