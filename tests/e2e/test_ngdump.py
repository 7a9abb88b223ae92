"""A dump tool that leaves a disk as ngdump does."""

from __future__ import annotations

import pytest

from tests.support.tools.build import TOOLS

pytestmark = pytest.mark.e2e

ON_EXT4 = (
    "--dump-tool",
    TOOLS / "ngdump" / "tool.toml",
    "--disk-layout",
    "ext4",
    "--hsa-size",
    "64M",
)


def test_the_file_that_ngdump_meta_names_is_right_but_for_its_sha256(zharness, images, tmp_path):
    output = tmp_path / "evidence"
    run = zharness(
        *("run", "quick", *ON_EXT4, "--dump-parmline", "ngdump.how=hash"),
        *("--json", "--output", output),
    )
    assert run.code == 1, run.out + run.err
    findings = [finding for check in run.json["checks"] for finding in check["findings"]]
    assert [finding["kind"] for finding in findings] == ["checksum-wrong"], findings
    assert "which ngdump.meta names" in (output / "dump/collected.json").read_text()
