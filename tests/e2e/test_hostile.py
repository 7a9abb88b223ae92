"""Hostile dump systems: each is a failed dump, in time, and never an error of the harness."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.hostile.running import Hostility, asked, run_all, stored_crash
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

# a system that neither prints nor calls the SCLP is stalled, or out of time on a busy host
SILENT = ("stalled", "out-of-time")
KERNELS = {
    "diagnose_oddly": SILENT,
    "talks_for_ever": ("out-of-time",),
    "sdias_absurd": ("out-of-time", "stalled"),
    "powers_off": ("ended-silently",),
}


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
    zharness: Zharness,
    images: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Hostility]:
    """The runs of the selected kernels, all with one crash."""
    names = asked(request, KERNELS)
    return run_all(names, stored_crash(zharness), tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_hostile_dump_system_is_a_failed_dump(runs: dict[str, Hostility], kernel: str):
    runs[kernel].must_be_a_failed_dump(*KERNELS[kernel])
