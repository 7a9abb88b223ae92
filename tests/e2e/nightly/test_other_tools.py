"""Several dump tools and one crash: everywhere where dumps are compared."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from tests.support.tools.build import TOOLS, static_program

pytestmark = pytest.mark.e2e

SHELL = TOOLS / "shell" / "tool.toml"
ON_EXT4 = ("--dump-tool", SHELL, "--disk-layout", "ext4")
SECONDS = 1800


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Does what the zfcpdump program of s390-tools does."""
    return static_program("genuine/program.c", tmp_path_factory.mktemp("program") / "zfcpdump")


def test_one_stored_crash_dumped_by_three_tools_compares_equal(zharness, program, images, tmp_path):
    first = tmp_path / "ours"
    run = zharness("run", "quick", "--output", first)
    assert run.code == 0, run.out + run.err
    dumps = [first / "dump/dump"]
    for name, tool in (("genuine", ("--dump-program", program)), ("shell", ON_EXT4)):
        output = tmp_path / name
        again = zharness(
            *("dump", f"{first}/crash/", "--hsa-size", "64M", *tool, "--output", output),
            timeout=SECONDS,
        )
        assert again.code == 0, again.out + again.err
        dumps.append(output / "dump/dump")
    for pair in combinations(dumps, 2):
        same = zharness("dump", "compare", *pair)
        assert same.code == 0, same.out + same.err


def test_a_matrix_of_tools_refuses_what_one_cannot_write(zharness, images, tmp_path):
    (tmp_path / "m.toml").write_text(f"""
description = "one crash, two tools"
extends = "quick"
dump = {{ hsa_size = "64M" }}

[matrix]
"dump.tool" = ["zfcpdump", "{SHELL}"]
layout = ["partition", "ext4"]
""")
    ran = zharness(
        *("run", tmp_path / "m.toml", "-j", "2", "--json", "--output", tmp_path / "runs"),
        timeout=SECONDS,
    )
    verdicts = {run["name"]: run["verdict"] for run in ran.json["runs"]}
    assert verdicts == {
        "m[dump.tool=zfcpdump,layout=partition]": "PASS",
        "m[dump.tool=zfcpdump,layout=ext4]": "PASS",
        f"m[dump.tool={SHELL},layout=partition]": "USAGE",
        f"m[dump.tool={SHELL},layout=ext4]": "PASS",
    }
    files = [Path(run["directory"], "verdict.json") for run in ran.json["runs"] if run["directory"]]
    disks = {json.loads(file.read_text())["inputs"]["dump disk"] for file in files}
    assert len(disks) == len(files) == 3  # two tools never share a disk


@pytest.mark.parametrize("how", ["program", "shell"])
def test_two_kernels_and_another_tool(zharness, program, images, dump_kernel, tmp_path, how):
    tool = ("--dump-program", program) if how == "program" else ON_EXT4
    options = ("--hsa-size", "64M", "--output", tmp_path / "evidence", "--json", *tool)
    ran = zharness("kernel", "compare", dump_kernel, dump_kernel, *options, timeout=SECONDS)
    assert ran.code == 0, ran.out + ran.err
    (pair,) = ran.json
    assert pair["console_difference"] == []
    assert [pair[which]["result"] for which in ("first", "second")] == ["PASS", "PASS"]


def test_a_tool_that_hangs_is_a_wrong_dump(zharness, images, tmp_path):
    ran = zharness(
        *("run", "quick", *ON_EXT4, "--hsa-size", "64M", "--dump-parmline", "copy.how=hang"),
        *("--json", "--output", tmp_path / "evidence"),
        timeout=SECONDS,
    )
    assert ran.code == 1, ran.out + ran.err
    (found,) = (check["findings"] for check in ran.json["checks"] if check["check"] == "outcome")
    assert "the dump system did not finish: stalled" in found[0]["message"]


def test_the_program_of_s390_tools_asks_for_a_re_ipl(zharness, program, images, tmp_path):
    ran = zharness(
        *("run", "guest-dump-reipl[layout=partition]", "--dump-program", program),
        *("--output", tmp_path / "evidence"),
        timeout=SECONDS,
    )
    assert ran.code == 0, ran.out + ran.err


@pytest.mark.parametrize(
    ("how", "check", "what"),
    [
        ("cut", "dump-file", "truncated: of memory"),
        ("silent", "console", "no result line of the dump tool shell-copy"),
    ],
)
def test_a_tool_that_lies_is_found_out(zharness, images, tmp_path, how, check, what):
    output = tmp_path / "evidence"
    run = zharness(
        *("run", "quick", *ON_EXT4, "--hsa-size", "64M", "--dump-parmline", f"copy.how={how}"),
        *("--json", "--output", output),
        timeout=SECONDS,
    )
    assert run.code == 1, run.out + run.err
    assert any(what in message for message in run.findings[check]), run.findings
    console = (output / "dump" / "console.log").read_text()
    assert ("copy: all is there" in console) is (how != "silent")
