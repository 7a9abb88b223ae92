"""The command line: exit codes, one clear error line, and only results on standard output."""

from __future__ import annotations

import json
import os
import sys

import pytest

from harness import cli
from harness.cli.show.progress import LineProgress
from harness.errors import ExitCode, HostError, PhaseTimeout, UsageError
from tests.support.command_line.read_only import run_read_only
from tests.support.command_line.zharness import zharness


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("run",),
        ("replay",),
        ("dump",),
        ("dump", "snapshot"),
        ("dump", "info"),
        ("dump", "compare"),
        ("dump", "check"),
        ("dump", "extract"),
        ("dump", "convert"),
        ("verify",),
        ("doctor",),
        ("snapshot",),
        ("snapshot", "create"),
        ("scenario", "show"),
        ("scenario", "check"),
        ("scenario", "new"),
        ("images", "build"),
        ("images", "clean"),
    ],
)
def test_every_command_has_help_with_examples(arguments):
    done = zharness(*arguments, "--help")
    assert done.returncode == 0
    assert ("contexts[trigger=oops]" in done.stdout) is (arguments == ("run",))
    if arguments not in ((), ("snapshot",)):
        assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("fly",), "fly"),
        (("run", "--wings"), "--wings"),
        (("run", "nosuch"), "nosuch"),
        (("run", "panic", "--memory", "much"), "much"),
        (("run", "panic", "--memory", "5"), "zharness: --memory: must be a multiple of 1M"),
        (("run", "panic", "--time-factor", "nan"), "nan"),
        (("run", "panic", "--time-factor", "inf"), "inf"),
        (("run", "panic", "--time-factor", "soon"), "soon"),
        (("run", "contexts", "--smp", "1"), "zharness: --smp: trigger panic-two-cpus needs 2"),
        (("run", "panic", "--disk-layout", "xfs"), "xfs"),
        (("run", "no*such"), "no*such"),
        (("run", "panic", "-j", "some"), "some"),
        (("dump", "nosuch"), "nosuch"),
        (("images", "show", "nosuch"), "nosuch"),
        (("images", "clean"), "--all"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path, arguments, what):
    done = zharness(*arguments, ZHARNESS_STORE=str(tmp_path / "store"))
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert done.stdout == ""
    assert what in done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("zharness: ") for line in done.stderr.splitlines())


def test_a_directory_without_evidence_is_an_error(tmp_path):
    done = zharness("verify", tmp_path)
    assert done.returncode == ExitCode.ERROR
    assert str(tmp_path / "crash/machine.json") in done.stderr


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (UsageError("no such thing", hint="take another"), 2, "zharness: no such thing"),
        (HostError("no space"), 3, "zharness: no space"),
        (PhaseTimeout("boot", "the prompt", 3, ("last words",)), 3, "phase boot"),
        (KeyboardInterrupt(), 130, "zharness: interrupted"),
        (RuntimeError("surprise"), 3, "internal error: RuntimeError: surprise"),
    ],
)
def test_every_exception_has_its_exit_code_and_line(monkeypatch, capsys, raised, code, line):
    def fail() -> None:
        raise raised

    monkeypatch.delenv("ZHARNESS_DEBUG", raising=False)
    monkeypatch.setattr("harness.cli.command.app", lambda **_: fail())
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert line in err
    assert "Traceback" not in err


def test_scenario_list_as_json_is_one_document():
    done = zharness("scenario", "list", "--json")
    assert "panic" in {scenario["name"] for scenario in json.loads(done.stdout)}


def test_a_table_in_a_file_is_whole(tmp_path):
    shown = zharness("scenario", "list", COLUMNS="40").stdout.splitlines()
    wanted = json.loads(zharness("scenario", "list", "--json").stdout)
    assert len(shown) == len(wanted) + 1
    for line, each in zip(shown[1:], wanted, strict=True):
        assert line.startswith(f"{each['name']} ")
        assert line.rstrip().endswith(f" {each['description']}")


def test_a_new_scenario_is_one_that_passes_the_check(tmp_path):
    file = tmp_path / "mine.toml"
    assert zharness("scenario", "new", file).returncode == ExitCode.PASS
    assert zharness("scenario", "check", file).stdout == f"{file}: 1 scenario, all well\n"
    assert zharness("scenario", "new", file).returncode == ExitCode.USAGE


@pytest.mark.parametrize("name", ['"quoted"', "set[1]", "back\\slash", "\x7f\N{BUG}"])
def test_a_new_scenario_can_extend_a_file_of_any_name(tmp_path, name):
    parent = tmp_path / f"{name}.toml"
    parent.write_text("description = 'x'\n[crashed]\nsmp = 7\n")
    file = tmp_path / "deep" / f"heir of {name}.toml"
    file.parent.mkdir()
    new = zharness("scenario", "new", file, "--extends", os.path.relpath(parent))
    assert new.returncode == ExitCode.PASS, new.stderr
    shown = json.loads(zharness("scenario", "show", file).stdout)
    assert (shown["description"], shown["crashed"]["smp"]) == (file.stem, 7)


@pytest.mark.parametrize(
    ("extends", "what"),
    [
        ("panic", "extends itself"),  # the new file is nearer than the harness's
        ("contexts[trigger=oops]", "is one cell of a matrix"),
        ("nosuch", "no scenario 'nosuch'"),
    ],
)
def test_an_impossible_new_scenario_is_not_written(tmp_path, extends, what):
    file = tmp_path / "panic.toml"
    done = zharness("scenario", "new", file, "--extends", extends)
    assert done.returncode == ExitCode.USAGE
    assert what in done.stderr
    assert not file.exists()


@pytest.mark.parametrize("arguments", [(), ("scenario",), ("snapshot",), ("images",)])
def test_without_arguments_the_help_is_shown(arguments):
    done = zharness(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert "Usage: zharness" in done.stdout
    assert done.stderr == ""


def test_the_schema_knows_every_section():
    schema = json.loads(zharness("scenario", "schema").stdout)
    assert {"crashed", "dump", "expect", "extends", "matrix"} < schema["properties"].keys()


def test_a_read_only_store_is_one_line(tmp_path):
    command = (sys.executable, "-m", "harness", "images", "build", "--store", str(tmp_path))
    done = run_read_only(tmp_path, *command)
    assert done.returncode == ExitCode.ERROR
    told = [line for line in done.stderr.splitlines() if line.startswith("zharness: ")]
    assert told[0].startswith(f"zharness: disk: {tmp_path}: {tmp_path} is no directory")
    assert told[1:] == ["zharness: hint: name another place with --store or ZHARNESS_STORE"]


def test_line_progress_says_when_a_long_task_began_and_ended(monkeypatch):
    said: list[str] = []
    progress = LineProgress(said.append)
    with progress.task("bake", total=10, unit="loaves") as task:
        monkeypatch.setattr(LineProgress, "SECONDS", 0.0)
        task.update(5)
    assert said[0].endswith("bake")
    assert "5 of 10 loaves" in said[1]
