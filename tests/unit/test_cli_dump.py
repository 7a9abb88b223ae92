"""``zharness dump``: a stored crash without the name of a command, and the commands on files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.dump.describe import describe
from harness.dump.detect import open_dump
from harness.errors import ExitCode
from tests.unit.crashed_kernel import PANIC, PREFIXES, CrashedKernel
from tests.unit.evidence import MEMORY, write_sparse


def zharness(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


@pytest.fixture
def dump_file(tmp_path: Path) -> Path:
    return written(tmp_path / "dump.elf", CrashedKernel().elf())


def written(path: Path, content: bytes) -> Path:
    write_sparse(path, content)
    return path


# the command that needs no name


@pytest.mark.parametrize(
    "arguments",
    [("nosuch",), ("nosuch", "--hsa-size", "64M"), ("--hsa-size", "64M", "nosuch")],
)
def test_a_word_that_is_no_command_is_a_snapshot(tmp_path: Path, arguments):
    done = zharness("dump", *arguments, "--store", tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "no snapshot 'nosuch'" in done.stderr


def test_help_shows_the_commands_and_the_options_of_the_one_without_a_name():
    shown = zharness("dump", "--help").stdout
    assert " info " in shown
    assert "--hsa-size" in shown


def test_a_file_is_no_snapshot(dump_file: Path):
    done = zharness("dump", dump_file)
    assert done.returncode == ExitCode.USAGE
    assert f"zharness dump info {dump_file}" in done.stderr


def completed(words: str, **environment: str) -> list[str]:
    count = len(f"{words}.".split()) - 1
    done = zharness(
        _ZHARNESS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count), **environment
    )
    return done.stdout.split()


def test_completion_knows_commands_snapshots_and_options(tmp_path: Path):
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    assert "info" in completed("zharness dump ", **cache)
    assert completed("zharness dump inf", **cache) == ["info"]
    assert "--hsa-size" in completed("zharness dump --hs", **cache)
    assert "--hsa-size" in completed("zharness dump sysrq-c --hs", **cache)
    assert "--json" in completed("zharness dump info --js", **cache)


# info


def test_info_says_what_the_dump_is(dump_file: Path):
    done = zharness("dump", "info", dump_file)
    assert done.returncode == ExitCode.PASS, done.stderr
    for what in (
        "elf",
        "yes",
        "6.12.1-test",
        "0123456789abcdef",
        PANIC,
        "0x0000000000000000-0x00000000003fffff",
        f"{PREFIXES[1]:08x}",
        "2023-11-14T22:13:20+00:00",
    ):
        assert what in done.stdout


def test_info_as_json(dump_file: Path):
    info = json.loads(zharness("dump", "info", dump_file, "--json").stdout)
    assert info["memory_map"] == [[0, MEMORY]]
    assert info["complete"] is True
    assert [cpu["prefix"] for cpu in info["cpus"]] == [f"{prefix:08x}" for prefix in PREFIXES]
    assert info["uts"]["nodename"] == "crash"
    assert info["panic"] == PANIC
    assert info["log"] == {"records": 3, "last_seconds": 2.0000005}
    assert info["unreadable"] == []


@pytest.mark.parametrize(
    ("mask", "state"),
    [
        (0x0404C00180000000, "running"),
        (0x0706C00180000000, "enabled wait"),
        (0x0002000180000000, "disabled wait"),
    ],
)
def test_info_says_what_a_cpu_does(tmp_path: Path, mask: int, state: str):
    crashed = CrashedKernel()
    crashed.cpus[0] = type(crashed.cpus[0])(**{**vars(crashed.cpus[0]), "psw_mask": mask})
    with open_dump(written(tmp_path / "dump.elf", crashed.elf())) as dump:
        assert describe(dump)["cpus"][0]["state"] == state


def test_info_of_a_cut_dump_says_what_is_missing(tmp_path: Path):
    path = written(tmp_path / "dump.elf", CrashedKernel().elf()[:-5000])
    with open_dump(path) as dump:
        info = describe(dump)
    assert info["complete"] is False
    assert info["incomplete"] == "5000 bytes of memory are missing: it was cut"


def test_info_without_vmcoreinfo_says_so(tmp_path: Path):
    memory = CrashedKernel().memory()
    path = written(tmp_path / "dump.elf", CrashedKernel(vmcoreinfo=b"").elf(memory))
    with open_dump(path) as dump:
        info = describe(dump)
    assert info["release"] is info["panic"] is info["uts"] is None
    assert len(info["cpus"]) == 2
    assert "VMCOREINFO has no SYMBOL(swapper_pg_dir)" in info["unreadable"][0]


def test_info_of_nothing_is_an_error(tmp_path: Path):
    done = zharness("dump", "info", tmp_path / "none")
    assert done.returncode == ExitCode.ERROR
    assert "No such file" in done.stderr


# compare


def test_compare_tells_by_its_exit_code(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "compare", dump_file, dump_file)
    assert done.returncode == ExitCode.PASS, done.stderr
    assert done.stdout.endswith("the dumps are the same\n")
    elf = bytearray(dump_file.read_bytes())
    elf[-1] ^= 1
    other = written(tmp_path / "other.elf", bytes(elf))
    done = zharness("dump", "compare", dump_file, other)
    assert done.returncode == ExitCode.FAIL
    assert f"first: {dump_file} (elf)" in done.stdout
    assert "first difference at 0x3fffff" in done.stdout
    assert done.stdout.endswith("the dumps differ\n")
    done = zharness("dump", "compare", dump_file, other, "--json")
    assert done.returncode == ExitCode.FAIL
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert document["second"]["file"] == str(other)
    assert [item["check"] for item in document["checks"] if not item["passed"]] == ["pages"]


def test_compare_with_what_cannot_be_read_is_an_error(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "compare", dump_file, tmp_path)
    assert done.returncode == ExitCode.ERROR
    assert "is a directory" in done.stderr
    assert zharness("dump", "compare", dump_file).returncode == ExitCode.USAGE


# check


def test_check_tells_by_its_exit_code(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "check", dump_file)
    assert done.returncode == ExitCode.PASS, done.stdout
    assert done.stdout.endswith("nothing is wrong\n")
    assert "pages are zero" in done.stdout
    cut = written(tmp_path / "cut.elf", dump_file.read_bytes()[:-4096])
    done = zharness("dump", "check", cut, "--json")
    assert done.returncode == ExitCode.FAIL
    document = json.loads(done.stdout)
    assert document["dump"] == {"file": str(cut), "format": "elf", "container": None}
    assert [item["check"] for item in document["checks"] if not item["passed"]] == ["complete"]
    assert zharness("dump", "check", tmp_path / "none").returncode == ExitCode.ERROR
