"""Wrong command lines: the right help, a suggestion, and JSON if it was requested."""

from __future__ import annotations

import json

import pytest

from harness.cli.usage import answer_as_json
from harness.errors import ExitCode
from tests.support.command_line.zharness import zharness

HELP_OF = [(), ("run",), ("dump",), ("dump", "info"), ("images", "build"), ("kernel", "import")]


@pytest.mark.parametrize("arguments", HELP_OF)
def test_help_has_a_short_name(arguments):
    short, long = zharness(*arguments, "-h"), zharness(*arguments, "--help")
    assert (short.returncode, short.stdout) == (0, long.stdout)
    assert "Usage: zharness" in short.stdout


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("dump", "info"), "FILE", "zharness dump info --help"),
        (("dump", "info", "--jsn", "x"), "--jsn", "did you mean --json? See: zharness dump info"),
        (("runn",), "Did you mean 'run'", "zharness --help"),
        (("images", "biuld"), "Did you mean 'build'?", "zharness images --help"),
        (("dump", "inf"), "'inf'", "did you mean 'info'? See: zharness dump --help"),
        (("dump", "chek", "x.elf"), "'chek'", "did you mean 'check'?"),
        (("dump", "nosuch"), "no snapshot 'nosuch'", "zharness snapshot list shows them"),
        (("run", "--hsa-siz", "1"), "--hsa-siz", "did you mean --hsa-size"),
        (("run", "--smp", "two"), "'--smp': must be a whole number", "zharness run --help"),
        (("run", "--repeat", "0"), "'--repeat': must be at least 1", "zharness run --help"),
        (("run", "--disk-layout", "jfs"), "'--disk-layout': 'jfs' is not one of", "run --help"),
    ],
)
def test_a_usage_error_names_what_was_meant_and_the_right_help(tmp_path, arguments, said, hint):
    done = zharness(*arguments, ZHARNESS_STORE=str(tmp_path / "store"))
    assert done.returncode == ExitCode.USAGE
    first, second = done.stderr.splitlines()
    assert said in first
    assert second.startswith("zharness: hint: ")
    assert hint in second


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--json", "--smp", "two"),
        ("run", "--json", "nosuch"),
        ("dump", "inf", "--json"),
        ("dump", "info", "--json"),
        ("scenario", "list", "--json", "--wings"),
        ("images", "list", "more", "--json"),
    ],
)
def test_a_usage_error_is_json_if_that_was_asked_for(tmp_path, arguments):
    done = zharness(*arguments, ZHARNESS_STORE=str(tmp_path / "store"))
    document = json.loads(done.stdout)
    assert document.keys() == {"error", "hint", "exit_code"}
    assert document["exit_code"] == done.returncode == ExitCode.USAGE
    assert document["error"] in done.stderr


def test_other_errors_are_not_printed_on_standard_output(capsys):
    answer_as_json(["--json"], "no space", None, ExitCode.ERROR)
    assert capsys.readouterr().out == ""
