"""The files in docs/recipes.md: as far as they can be tried without their systems."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ExitCode
from harness.results.form import Form
from tests.support.command_line.documents import require_valid

ROOT = Path(__file__).parents[3]
RECIPES = (ROOT / "docs/recipes.md").read_text()
FILE = re.compile(r"```\w+\n(?:#|//) (\S+)\n(.*?)```", re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"zharness (night [^|>'\n]*)")
GOOD = (ExitCode.PASS, ExitCode.KNOWN)
BAD = (ExitCode.FAIL, ExitCode.ERROR)

SERVICE = "~/.config/systemd/user/zharness-night.service"
TIMER = "~/.config/systemd/user/zharness-night.timer"
GITHUB = ".github/workflows/zharness-night.yml"
GITLAB = ".gitlab-ci.yml"
JENKINS = "Jenkinsfile"
CONTAINER = "Containerfile"
FILES = dict(FILE.findall(RECIPES))


def commands(text: str) -> list[list[str]]:
    return [shlex.split(found) for found in COMMAND.findall(text)]


def night(*words: str) -> list[str]:
    return ["night", *words]


def test_all_recipes_are_there():
    assert set(FILES) == {SERVICE, TIMER, GITHUB, GITLAB, JENKINS, CONTAINER}


@pytest.mark.parametrize("name", [SERVICE, GITHUB, GITLAB, JENKINS])
def test_each_runs_a_night_and_publishes_it(name: str):
    found = commands(FILES[name])
    for words in found:
        require_valid(words)
    assert [words[:2] for words in found].count(night("run")) == 1
    assert night("export", str(Form.JUNIT)) in [words[:3] for words in found]
    assert night("report") in [words[:2] for words in found]


def test_a_command_that_does_not_exist_would_be_found():
    (words,) = commands("run: zharness night ruin --directory x || test $? -eq 4")
    with pytest.raises(AssertionError, match="ruin"):
        require_valid(words)


class Unit(ConfigParser):
    """A unit file: names are as they are written, and may come twice."""

    def __init__(self, text: str) -> None:
        super().__init__(interpolation=None, strict=False, delimiters=("=",))
        self.optionxform = str  # type: ignore[assignment, method-assign]
        self.read_string(text)


def test_the_service_knows_the_exit_codes():
    service = Unit(FILES[SERVICE])["Service"]
    assert service["Type"] == "oneshot"
    assert [*map(int, service["SuccessExitStatus"].split())] == [ExitCode.KNOWN]
    assert service["ExecStart"].startswith("%h/")


def test_the_timer_starts_the_service():
    timer = Unit(FILES[TIMER])
    assert set(timer["Timer"]) == {"OnCalendar", "Persistent"}
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert Path(TIMER).stem == Path(SERVICE).stem
    assert f"enable --now {Path(TIMER).name}" in RECIPES


def github() -> dict[str, Any]:
    (job,) = yaml.safe_load(FILES[GITHUB])["jobs"].values()
    return job


def gitlab() -> dict[str, Any]:
    (job,) = yaml.safe_load(FILES[GITLAB]).values()
    return job


def test_the_workflow_has_what_github_needs():
    workflow, job = yaml.safe_load(FILES[GITHUB]), github()
    assert workflow[True]["schedule"][0]["cron"].count(" ") == 4  # YAML 1.1 reads "on" as true
    assert job["container"] == "debian:12"
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    used = {step["uses"].partition("@")[0]: step for step in job["steps"] if "uses" in step}
    restored, saved = used["actions/cache/restore"], used["actions/cache/save"]
    assert restored["with"]["path"] == saved["with"]["path"]
    assert restored["with"]["key"].startswith(restored["with"]["restore-keys"])
    for name in ("ZHARNESS_STORE", "ZHARNESS_RESULTS"):
        assert Path(job["env"][name]).is_relative_to(saved["with"]["path"])
    for step in (saved, used["actions/upload-artifact"]):
        assert step["if"] == "always()"
    assert used["actions/upload-artifact"]["with"]["path"].split() == ["junit.xml", "report.html"]


def test_the_job_has_what_gitlab_needs():
    job = gitlab()
    assert job["image"] == "debian:12"
    (kept,) = job["cache"]["paths"]
    for name in ("ZHARNESS_STORE", "ZHARNESS_RESULTS"):
        assert job["variables"][name].startswith(f"$CI_PROJECT_DIR/{kept}")
    assert job["cache"]["when"] == job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] in job["artifacts"]["paths"]


def scripts() -> dict[str, tuple[str, str]]:
    """Of each CI system: what runs the night, and what publishes it."""
    steps = {step["name"]: step["run"] for step in github()["steps"] if "name" in step}
    job = gitlab()
    return {
        GITHUB: (steps["run"], steps["publish"]),
        GITLAB: ("\n".join(job["script"]), "\n".join(job["after_script"])),
    }


@pytest.fixture
def bin_of(tmp_path: Path):
    """A program zharness that ends with a code."""

    def bin_of(code: int) -> Path:
        program = tmp_path / ".venv/bin/zharness"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho "$*"\n[ "$3" = --directory ] && exit {code}\nexit 0\n')
        program.chmod(0o755)
        return program.parent

    return bin_of


def sh(script: str, directory: Path, path: Path) -> int:
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
    }
    run = subprocess.run(
        ["sh", "-e", "-c", script], cwd=directory, env=environment, check=False, capture_output=True
    )
    return run.returncode


@pytest.mark.parametrize("name", [GITHUB, GITLAB])
@pytest.mark.parametrize("code", [*GOOD, *BAD])
def test_what_is_known_is_a_success_and_nothing_else(name: str, code: int, tmp_path: Path, bin_of):
    night, publish = scripts()[name]
    path = bin_of(code)
    assert (sh(night, tmp_path, path) == 0) is (code in GOOD)
    assert sh(publish, tmp_path, path) == 0
    assert (tmp_path / "junit.xml").read_text().startswith("night export junit")


def test_jenkins_knows_the_exit_codes():
    text = FILES[JENKINS]
    (codes,) = re.findall(r"code in \[([\d, ]+)\]", text)
    assert [*map(int, codes.split(","))] == list(GOOD)
    for opened, closed in ("{}", "()", "[]"):
        assert text.count(opened) == text.count(closed)
    for name in ("ZHARNESS_STORE", "ZHARNESS_RESULTS"):
        assert f'{name} = "${{WORKSPACE}}/.zharness/' in text


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in FILES[CONTAINER].splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_container_has_no_privileges_and_keeps_its_state():
    found = instructions()
    assert found[0] == ("FROM", "debian:12")
    names = [name for name, _ in found]
    last_run = len(names) - 1 - names[::-1].index("RUN")
    assert names.index("USER") > last_run
    by_name = dict(found)
    assert f"useradd --uid 1000 --create-home {by_name['USER']}" in by_name["RUN"]
    state = dict(word.split("=") for word in by_name["ENV"].split())
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        assert Path(state[name]).is_relative_to(by_name["VOLUME"])
    assert json.loads(by_name["ENTRYPOINT"]) == ["zharness"]
    require_valid(json.loads(by_name["CMD"]))


def test_the_container_copies_what_is_there_and_all_that_the_package_has():
    copied = [word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    own = (ROOT / "images/host/Containerfile").read_text()
    assert set(copied) == {
        word for line in re.findall(r"^COPY (.*)$", own, re.MULTILINE) for word in line.split()[:-1]
    }


def test_the_commands_around_the_container_exist():
    words = re.findall(r"zharness-night (night .*?)(?: >.*)?$", RECIPES, re.MULTILINE)
    assert len(words) == 2
    for each in words:
        require_valid(shlex.split(each))
