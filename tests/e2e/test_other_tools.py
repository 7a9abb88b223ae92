"""Dump tools that others made: what is on the disk decides, not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools.build import TOOLS, static_program

pytestmark = pytest.mark.e2e

SHELL = TOOLS / "shell" / "tool.toml"
ON_EXT4 = ("--dump-tool", SHELL, "--disk-layout", "ext4", "--hsa-size", "64M")
RUN_SECONDS = 600


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """A ramdisk, as a directory, with a static program that prints nothing."""
    root = tmp_path_factory.mktemp("static") / "root"
    for name in ("proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    return static_program("static/copy.c", root / "init").parent


@pytest.fixture(scope="module")
def by_shell(zharness, images, tmp_path_factory):
    output = tmp_path_factory.mktemp("shell") / "evidence"
    return zharness("run", "quick", *ON_EXT4, "--json", "--output", output), output


def test_a_shell_script_that_writes_a_file(by_shell):
    run, _ = by_shell
    assert run.code == 0, run.out + run.err
    assert run.json["inputs"]["dump tool"]["name"] == "shell-copy"


def test_a_static_program_that_says_nothing_dumps_the_same(zharness, by_shell, program, tmp_path):
    _, other = by_shell
    output = tmp_path / "evidence"
    run = zharness("run", "quick", "--dump-initramfs", program, "--json", "--output", output)
    assert run.code == 0, run.out + run.err
    dumps = (each / "dump" / "dump" for each in (output, other))
    same = zharness("dump", "compare", *dumps)  # of one stored crash
    assert same.code == 0, same.out + same.err


def test_the_program_of_s390_tools_dumps_the_same(zharness, by_shell, tmp_path):
    """It insists on a zfcp device; one that does the same stands in for it."""
    _, other = by_shell
    output = tmp_path / "evidence"
    program = static_program("genuine/program.c", tmp_path / "my zfcpdump: a copy")
    run = zharness("run", "quick", "--dump-program", program, "--json", "--output", output)
    assert run.code == 0, run.out + run.err
    assert run.json["inputs"]["dump tool"] == {"name": "s390-tools"}
    assert "Dump successful" in (output / "dump/console.log").read_text()
    same = zharness("dump", "compare", output / "dump/dump", other / "dump/dump")
    assert same.code == 0, same.out + same.err


def test_a_tool_that_lies_is_found_out(zharness, images, tmp_path):
    """nightly/test_other_tools.py has other lies."""
    output = tmp_path / "evidence"
    run = zharness(
        *("run", "quick", *ON_EXT4, "--dump-parmline", "copy.how=wrong"),
        *("--json", "--output", output),
        timeout=RUN_SECONDS,
    )
    assert run.code == 1, run.out + run.err
    assert any("dump 58 00" in message for message in run.findings["pages"]), run.findings
    assert "copy: all is there" in (output / "dump" / "console.log").read_text()


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("--dump-tool=s390-tools", "the program of the dump tool s390-tools does not come"),
        ("--dump-tool={}/a row: mine", "there is no dump tool"),
        ("--dump-initramfs={}/empty", "has no /init"),
        ("--dump-initramfs={}/large", "has more than 33554432 bytes"),
        ("--dump-program={}/a row: mine", "neither a script nor an ELF program"),
    ],
)
def test_a_mistake_is_one_line(zharness, images, tmp_path, option, what):
    (tmp_path / "a row: mine").touch()
    for name in ("empty", "large"):
        (tmp_path / name).mkdir()
    with (tmp_path / "large/init").open("wb") as file:
        file.truncate(300 << 20)
    run = zharness("run", "quick", option.format(tmp_path), "--output", tmp_path / "evidence")
    assert run.code == 2, run.out + run.err
    (line,) = [line for line in run.err.splitlines() if "zharness: " in line and "hint" not in line]
    assert what in line
    assert "Traceback" not in run.err
