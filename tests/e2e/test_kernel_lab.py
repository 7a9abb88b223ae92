"""The kernel lab, with real kernels."""

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


def test_the_sources_own_kconfig_tells_why_a_line_is_lost(
    zharness: Zharness, images: Any, tmp_path: Path
):
    partial = tmp_path / "nokexec_defconfig"
    partial.write_text("CONFIG_CRASH_DUMP=y\nCONFIG_NR_CPUS=4096\nCONFIG_NOSUCH=y\n")
    ran = zharness("config", "check", partial, "--tool", "none", "--json")
    assert ran.code == 1, ran.err
    assert {loss["option"]: loss["why"] for loss in ran.json["losses"]} == {
        "CONFIG_CRASH_DUMP": "it depends on CONFIG_KEXEC_CORE, which is not set "
        "(CONFIG_KEXEC or CONFIG_KEXEC_FILE selects it)",
        "CONFIG_NR_CPUS": "it must be in 2..512",
        "CONFIG_NOSUCH": "this source does not define it",
    }
