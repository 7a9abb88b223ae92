"""A dump tool that leaves a disk as ngdump does: what is not its dump, and a disk used twice."""

from __future__ import annotations

import pytest

from tests.support.tools.build import TOOLS

pytestmark = pytest.mark.e2e

TOOL = ("--dump-tool", TOOLS / "ngdump" / "tool.toml")
ON_EXT4 = (*TOOL, "--disk-layout", "ext4", "--hsa-size", "64M")


def no_dump(run) -> str:
    assert run.code == 1, run.out + run.err
    (check,) = (check for check in run.json["checks"] if check["check"] == "dump-file")
    (finding,) = check["findings"]
    return finding["message"]


def test_a_name_outside_of_the_partition_is_refused(zharness, images, tmp_path):
    run = zharness(
        *("run", "quick", *ON_EXT4, "--dump-parmline", "ngdump.how=outside"),
        *("--json", "--output", tmp_path / "evidence"),
    )
    assert "ngdump.meta of partition 1 names ../dump.elf, which is not there" in no_dump(run)


@pytest.mark.parametrize(("how", "passes"), [("always", True), ("once", False)])
def test_an_ngdump_meta_from_before_is_none_of_the_run(zharness, images, tmp_path, how, passes):
    first, then = tmp_path / "first", tmp_path / "then"
    run = zharness(
        *("run", "quick", *ON_EXT4, "--dump-parmline", f"ngdump.how={how}"),
        *("--keep", "--output", first),
    )
    assert run.code == 0, run.out + run.err
    again = zharness(
        *("run", "quick", *TOOL, "--hsa-size", "64M", "--dump-disk", first / "disk.img"),
        *("--json", "--output", then),
    )
    if passes:
        assert again.code == 0, again.out + again.err
        assert again.json["inputs"]["dump disk"]["dumps before"] == 1
    else:
        assert no_dump(again).endswith("ngdump.meta is from before the run")
