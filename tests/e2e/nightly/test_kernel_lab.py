"""The kernel lab, with real kernels: what takes several dumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e


def test_two_dump_kernels_side_by_side(
    zharness: Zharness, images: Any, dump_kernel: Path, tmp_path: Path
):
    kernels = (images["dump kernel"]["origin"], dump_kernel)  # the same one
    options = ("--hsa-size", "32M", "--output", tmp_path / "evidence", "--json")
    ran = zharness("kernel", "compare", *kernels, *options)
    assert ran.code == 0, ran.err
    (pair,) = ran.json
    assert pair["console_difference"] == []
    for trial in (pair["first"], pair["second"]):
        assert trial["result"] == "PASS"
        assert 0 < trial["memory_mb"] < 32
        assert trial["mb_per_second"] > 0
        assert trial["seconds"]["dump"] > 0
