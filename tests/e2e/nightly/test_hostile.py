"""More hostile dump systems, and systems that are hostile before they crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.hostile import assemble
from tests.e2e.hostile.running import (
    MOST_SECONDS,
    TIME_FACTOR,
    Hostility,
    asked,
    run_all,
    stored_crash,
)
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

# on a busy host the deadline may come before QEMU has run long enough to count as stalled
SILENT = ("stalled", "out-of-time")
KERNELS = (
    "quiet",
    "moves_away",
    "lookalikes",
    "line_without_end",
    "reads_interruptions",
    "prefix_away",
    "diagnose_for_ever",
    "moves_for_ever",
    "overwrites_itself",
    "hides_its_lowcore",
    "resets_for_ever",
)
ON_TWO_CPUS = {"signals_for_ever": SILENT, "powers_off": ("ended-silently",)}


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
    zharness: Zharness,
    images: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[int, str], Hostility]:
    """By number of CPUs and kernel."""
    done: dict[tuple[int, str], Hostility] = {}
    for cpus, kernels in ((1, KERNELS), (2, ON_TWO_CPUS)):
        crash = stored_crash(zharness, "--smp", cpus)
        ran = run_all(asked(request, kernels), crash, tmp_path_factory.mktemp(f"hostile-{cpus}"))
        done |= {(cpus, name): run for name, run in ran.items()}
    return done


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_hostile_dump_system_is_a_failed_dump(
    runs: dict[tuple[int, str], Hostility], kernel: str
):
    runs[1, kernel].must_be_a_failed_dump(*SILENT)


@pytest.mark.parametrize("kernel", ON_TWO_CPUS)
def test_and_on_two_cpus(runs: dict[tuple[int, str], Hostility], kernel: str):
    runs[2, kernel].must_be_a_failed_dump(*ON_TWO_CPUS[kernel])


@pytest.mark.parametrize("kernel", ["line_without_end", "talks_for_ever", "resets_for_ever"])
def test_a_system_that_never_comes_up_ends_in_time(
    zharness: Zharness, images: Any, tmp_path: Path, kernel: str
):
    image = assemble(kernel, tmp_path)
    options = ("--kernel", image, "--time-factor", TIME_FACTOR, "--output", tmp_path / "evidence")
    ran = zharness("run", "quick", "--json", *options, timeout=MOST_SECONDS)
    assert (ran.code, ran.json["verdict"], ran.json["phase"]) == (3, "ERROR", "boot"), ran.err
    assert "internal error" not in ran.json["error"]
    assert (tmp_path / "evidence/crash/console.log").stat().st_size < 12 << 20
