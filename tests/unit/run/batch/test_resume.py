"""A batch that was ended early, and a batch that resumes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.errors import ExitCode
from tests.support import FAKE_ZHARNESS

SCENARIO = "description = 'x'\n"
SECONDS = 60
ROOT = Path(__file__).parents[4]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("passing", "failing", "erring", "hanging", "refusing"):
        (tmp_path / f"{name}.toml").write_text(SCENARIO)
    return tmp_path


def start(here: Path, *arguments: str) -> subprocess.Popen:
    """A batch in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, FAKE_ZHARNESS, "run", *arguments, "--output", "out"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ZHARNESS_STORE": str(here / "store")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(here: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(here, *arguments)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def wait_until(condition) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def report(here: Path) -> dict[str, str]:
    try:
        runs = json.loads((here / "out/report.json").read_text())["runs"]
    except FileNotFoundError:
        return {}
    return {run["name"]: run["verdict"] for run in runs}


def junit(here: Path) -> tuple[int, ...]:
    """Tests, failures, errors and skipped ones; the file is always whole."""
    (suite,) = JUnitXml.fromfile(str(here / "junit.xml"))
    return suite.tests, suite.failures, suite.errors, suite.skipped


def summary(here: Path) -> str:
    return (here / "out/summary.txt").read_text()


def began(here: Path) -> list[str]:
    """Runs that a worker has begun since this was last asked."""
    files = sorted((here / "out").glob("started-*"))
    for file in files:
        file.unlink()
    return [file.name.removeprefix("started-") for file in files]


GIVEN = ("passing.toml", "failing.toml", "erring.toml", "hanging.toml", "-j", "1")


@pytest.fixture
def killed(here: Path) -> Path:
    """A batch whose last run never ended."""
    process = start(here, *GIVEN, "--junit", "junit.xml")
    done = {"passing": "PASS", "failing": "FAIL", "erring": "ERROR", "hanging": "SKIPPED"}
    try:
        wait_until(lambda: report(here) == done and (here / "out/started-hanging").exists())
        wait_until(lambda: junit(here) == (4, 1, 1, 1) and "erring: ERROR" in summary(here))
    finally:
        process.kill()
        process.communicate()
    return here


def test_a_killed_batch_has_what_had_finished(killed):
    assert junit(killed) == (4, 1, 1, 1)
    first, *_, last = summary(killed).splitlines()
    assert first.startswith("passing: PASS")
    assert last.startswith("1 passed, 1 failed, 1 error, 1 skipped")
    assert not list(killed.rglob("*.new"))


def test_it_goes_on_where_it_was_ended(killed):
    assert began(killed) == ["erring", "failing", "hanging", "passing"]
    evidence = killed / "out/passing/verdict.json"
    before = evidence.stat().st_mtime_ns
    (killed / "out/erring/mark").touch()
    again = (*GIVEN[:-2], "--repeat", "1", "-j", "2", "--resume", "--junit", "junit.xml")
    process = start(killed, *again)
    try:
        wait_until(lambda: (killed / "out/started-hanging").exists() and report(killed))
        wait_until(lambda: report(killed)["erring"] == "ERROR")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == ExitCode.TERMINATED
    assert began(killed) == ["erring", "hanging"]
    assert evidence.stat().st_mtime_ns == before
    assert (killed / "out/erring~1/mark").exists()
    assert not (killed / "out/erring/mark").exists()
    assert "2 of them kept from the earlier batch" in err
    assert err.splitlines()[-1] == "zharness: interrupted by SIGTERM"
    assert report(killed)["hanging"] == "INTERRUPTED"
    (suite,) = JUnitXml.fromfile(str(killed / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 1, 1)


def test_finished_runs_are_not_repeated(here):
    given = ("passing.toml", "--repeat", "3")
    assert finish(here, *given)[0] == ExitCode.PASS
    assert len(began(here)) == 3
    code, out, _ = finish(here, *given, "--resume", "--json")
    assert (code, began(here)) == (ExitCode.PASS, [])
    assert [run["kept"] for run in json.loads(out)["runs"]] == [True] * 3


def test_a_failure_that_is_kept_stops_the_rest_too(here):
    given = ("failing.toml", "passing.toml", "-j", "1", "-x")
    assert finish(here, *given)[0] == ExitCode.FAIL
    assert began(here) == ["failing"]
    code, out, _ = finish(here, *given, "--resume", "--json")
    assert (code, began(here)) == (ExitCode.FAIL, [])
    assert [run["verdict"] for run in json.loads(out)["runs"]] == ["FAIL", "SKIPPED"]


@pytest.mark.parametrize(
    ("again", "what"),
    [
        (("passing.toml", "erring.toml"), "it has no run 'erring'"),
        (("passing.toml", "-j", "1"), "it also has the run 'failing'"),
        (("passing.toml", "failing.toml", "--hsa-size", "32M"), "dump.hsa_size of 'passing' was"),
        (("passing.toml", "failing.toml", "--keep"), "options.keep of 'passing' was False"),
    ],
)
def test_another_batch_is_refused_and_named(here, again, what):
    finish(here, "passing.toml", "failing.toml")
    began(here)
    code, _, err = finish(here, *again, "--resume")
    assert code == ExitCode.USAGE
    assert what in err
    assert began(here) == []


def test_another_directory_cannot_be_resumed(here):
    (here / "out").mkdir()
    (here / "out/mine").touch()
    code, _, err = finish(here, "passing.toml", "--resume")
    assert code == ExitCode.USAGE
    assert "is not empty" in err
    assert [path.name for path in (here / "out").iterdir()] == ["mine"]


def test_an_empty_directory_begins_a_batch(here):
    assert finish(here, "passing.toml", "--resume")[0] == ExitCode.PASS
    assert began(here) == ["passing"]


@pytest.fixture
def at_work(here: Path) -> Iterator[Path]:
    process = start(here, *GIVEN)
    wait_until(lambda: (here / "out/started-passing").exists())
    yield here
    process.kill()
    process.communicate()


def test_two_at_once_do_not_share_a_directory(at_work):
    code, _, err = finish(at_work, *GIVEN, "--resume")
    assert code == ExitCode.ERROR
    assert "another batch is at work in" in err
