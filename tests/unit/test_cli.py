"""The command line: exit codes, one clear line, nothing on standard output but what was asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness import cli
from harness.cli.progress import LineProgress
from harness.errors import ExitCode, HostError, PhaseTimeout, UsageError


def zharness(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


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
    if arguments not in ((), ("snapshot",)):
        assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("fly",), "fly"),
        (("run", "--wings"), "--wings"),
        (("run", "nosuch"), "nosuch"),
        (("run", "panic", "--memory", "much"), "much"),
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


def test_evidence_that_is_none_is_an_error(tmp_path):
    done = zharness("verify", tmp_path)
    assert done.returncode == ExitCode.ERROR
    assert str(tmp_path / "verdict.json") in done.stderr


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
def test_every_end_has_its_exit_code_and_line(monkeypatch, capsys, raised, code, line):
    def fail() -> None:
        raise raised

    monkeypatch.delenv("ZHARNESS_DEBUG", raising=False)
    monkeypatch.setattr(cli, "app", lambda **_: fail())
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert line in err
    assert "Traceback" not in err


def test_scenario_list_as_json_is_one_document():
    done = zharness("scenario", "list", "--json")
    assert "panic" in {scenario["name"] for scenario in json.loads(done.stdout)}


def test_a_new_scenario_is_one_that_passes_the_check(tmp_path):
    file = tmp_path / "mine.toml"
    assert zharness("scenario", "new", file).returncode == ExitCode.PASS
    assert zharness("scenario", "check", file).stdout == f"{file}: 1 scenario, all well\n"
    assert zharness("scenario", "new", file).returncode == ExitCode.USAGE


def test_the_schema_knows_every_section():
    schema = json.loads(zharness("scenario", "schema").stdout)
    assert {"crashed", "dump", "expect", "extends", "matrix"} < schema["properties"].keys()


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    done = zharness("doctor", "--json", PATH=str(tmp_path), ZHARNESS_STORE=str(tmp_path))
    assert done.returncode == ExitCode.ERROR
    missing = {item["name"]: item for item in json.loads(done.stdout) if not item["ok"]}
    assert "QEMU" in missing
    assert missing["s390x-linux-gnu-gcc"]["fix"] == "apt-get install gcc-s390x-linux-gnu"


def test_line_progress_says_when_a_long_task_began_and_ended(monkeypatch):
    said: list[str] = []
    progress = LineProgress(said.append)
    with progress.task("bake", total=10, unit="loaves") as task:
        monkeypatch.setattr(LineProgress, "SECONDS", 0.0)
        task.update(5)
    assert said[0].endswith("bake")
    assert "5 of 10 loaves" in said[1]
