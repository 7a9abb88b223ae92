"""Dump kernels that do not compile, do not boot, panic or hang: the result of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

BROKEN = """\
--- a/init/main.c
+++ b/init/main.c
@@ -1,3 +1,4 @@
+#error no kernel today
 // SPDX-License-Identifier: GPL-2.0-only
 /*
  *  linux/init/main.c
"""

# parameters with which a dump kernel dies -> how it ended
DEATHS = {
    "mem=4M": "panicked",  # smaller than the kernel's image: a disabled wait without output
    "rdinit=/nowhere root=/dev/nowhere": "panicked",
    "rdinit=/nowhere root=/dev/nowhere rootwait": "stalled",
}


@pytest.mark.parametrize("parmline", DEATHS)
def test_a_dump_kernel_that_dies_is_a_failed_dump(
    zharness: Zharness, images: Any, tmp_path: Path, parmline: str
):
    factor = "0.1" if DEATHS[parmline] == "stalled" else "1"  # detected only after minutes
    options = ("--disk-layout", "ext4", "--dump-parmline", parmline, "--time-factor", factor)
    ran = zharness("run", "quick", "--json", *options, "--output", tmp_path / "evidence")
    assert ran.code == 1, ran.err
    verdict = ran.json
    assert (verdict["verdict"], verdict["phase"]) == ("FAIL", "dump")
    checks = verdict["checks"]
    messages = [finding["message"] for check in checks for finding in check["findings"]]
    ending = f"the dump system did not finish: {DEATHS[parmline]}; no result line"
    assert messages[0] == ending
    said = [message for message in messages if message.startswith("kernel panic")]
    dies_aloud = parmline.startswith("rdinit") and "rootwait" not in parmline
    assert bool(said) is dies_aloud


def test_a_kernel_that_does_not_compile_is_an_error_with_the_first_message(
    zharness: Zharness, images: Any, tmp_path: Path
):
    (tmp_path / "broken.patch").write_text(BROKEN)
    options = ("--dump-patch", tmp_path / "broken.patch", "--output", tmp_path / "evidence")
    ran = zharness("run", "quick", "--json", *options)
    assert ran.code == 3, ran.err
    verdict = ran.json
    assert (verdict["verdict"], verdict["phase"]) == ("ERROR", "images")
    assert "init/main.c:1:2: error: #error no kernel today" in verdict["error"]
