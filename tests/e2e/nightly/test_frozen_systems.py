"""A full system is frozen once; the next run starts from there, and its dump is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.host.paths import default_store
from harness.images.store import Store
from harness.machine.frozen.freeze import KIND
from harness.progress import NoProgress
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e


def frozen() -> set[Path]:
    return {
        image.path for image in Store(default_store(), NoProgress()).images() if image.kind == KIND
    }


@pytest.mark.parametrize("load", ["direct", "scsi"])
@pytest.mark.parametrize("trigger", ["sysrq-c", "out-of-memory"])
def test_a_full_system_starts_from_a_frozen_one(
    zharness: Zharness, load: str, trigger: str, tmp_path: Path
) -> None:
    for name in ("first", "again"):
        options = ("--load", load, "--trigger", trigger, "--frozen", "--fresh", "--keep")
        ran = zharness("run", "debian", *options, "--json", "--output", tmp_path / name)
        assert ran.code == 0, ran.err
        assert ran.json["verdict"] == "PASS"
        (played,) = [each for each in ran.json["fidelity"] if "boot of" in each["function"]]
        assert played["provider"] == "harness"
    before = frozen()
    log = (tmp_path / "again" / "crash" / "console.log").read_bytes()
    assert any(log.startswith((path / "console.log").read_bytes()) for path in before)
    first, again = (
        json.loads((tmp_path / name / "crash" / "machine.json").read_text())["boot_seconds"]
        for name in ("first", "again")
    )
    print(f"{load}, {trigger}: {first} s, then {again} s")
