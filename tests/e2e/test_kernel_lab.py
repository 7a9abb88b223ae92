"""The kernel lab, with real kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e


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
