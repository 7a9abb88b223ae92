"""The pytest plugin as in its documentation, in separate sessions with two workers."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line.left_behind import (
    END_SECONDS,
    SHARED_MEMORY,
    START_SECONDS,
    qemus_of,
    wait_until,
)
from tests.support.command_line.zharness import RUN_SECONDS

pytestmark = pytest.mark.e2e

FULL = "debian"
EXAMPLES = [
    "hsas[hsa_size=32M]",
    "hsas[hsa_size=64M]",
    "test_a_file_system",
    "test_a_message_survives",
    "test_bug",
]
DOCUMENT = Path(__file__).parents[2] / "docs/pytest.md"
# pytest-xdist interrupts a worker after five seconds and kills it after ten
WORKERS_END_SECONDS = 15 + END_SECONDS
TOO_SMALL = """
description = "a dump disk that is too small"
extends = "panic"
[crashed]
memory = "256M"
smp = 1
[dump]
hsa_size = "32M"
disk_size = "128M"
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the scenario file and the tests from the documentation."""
    path = tmp_path / "project"
    (path / "scenarios").mkdir(parents=True)
    (scenario,) = blocks("toml")
    (path / "scenarios/hsas.toml").write_text(scenario)
    for number, test in enumerate(blocks("python"), 1):
        (path / f"test_{number}.py").write_text(test)
    return path


@pytest.fixture
def session(images, project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start pytest in the project."""
    started = []

    def start(*options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "--zharness", *map(str, options)],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # its children inherit the environment: that is how they are found again
            env={**os.environ, "ZHARNESS_TEST_EVIDENCE": str(project)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def passing(session, project: Path, *options: str) -> list[str]:
    """Run the examples; the names of those that ran, which all passed."""
    process = session(
        "-n", "2", "--zharness-evidence", "evidence", "--junitxml=report.xml", *options
    )
    out, _ = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 0, out
    cases = ET.parse(project / "report.xml").findall(".//testcase")
    for case in cases:
        found = [(each.get("name"), each.get("value")) for each in case.iter("property")]
        assert found == [("zharness_verdict", "PASS")]
    assert list((project / "evidence").iterdir()) == []
    assert qemus_of(project) == []
    return sorted(str(case.get("name")) for case in cases)


def test_the_examples_in_the_documentation(session, project):
    """Those with a full system are in nightly/test_pytest_plugin.py: its image takes minutes."""
    full = [f"--ignore={path.name}" for path in project.glob("*.py") if FULL in path.read_text()]
    assert full
    assert passing(session, project, *full) == EXAMPLES


def test_a_wrong_dump_fails_and_its_report_has_the_commands_that_show_it_again(
    session, project, zharness
):
    (project / "scenarios/small.toml").write_text(TOO_SMALL)
    (project / "test_small.py").write_text(
        "import pytest\n"
        '@pytest.mark.zharness(scenario="scenarios/small.toml")\n'
        'def test_small(dump): assert dump.verdict == "PASS"\n'
    )
    process = session("scenarios/small.toml", "test_small.py")
    out, _ = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, out
    assert "2 failed" in out
    assert "error" not in out.splitlines()[-1]
    findings = re.findall(r"^FAIL in phase dump: outcome: .*Disk too small", out, re.MULTILINE)
    assert len(findings) == 2
    again = set(re.findall(r"^(?:verify|run) again: zharness (.*)$", out, re.MULTILINE))
    assert sorted(shlex.split(each)[0] for each in again) == ["dump", "replay", "verify", "verify"]
    for number, command in enumerate(again):
        words = shlex.split(command)
        output = () if words[0] == "verify" else ("--output", project / f"again-{number}")
        ran = zharness(*words, "--json", *output)
        assert (ran.code, ran.json["verdict"]) == (1, "FAIL"), ran.err


@pytest.mark.parametrize("who", ["session", "group"])
def test_an_interrupt_leaves_nothing(session, project, who):
    """The session is interrupted while its workers run; Ctrl-C also reaches the workers."""
    evidence = project / "evidence"
    shared_before = set(SHARED_MEMORY.iterdir())
    process = session("-n", "2", "--zharness-evidence", "evidence", "scenarios")
    wait_until(lambda: len(qemus_of(project)) == 2, START_SECONDS, "both workers have a QEMU")
    if who == "group":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=WORKERS_END_SECONDS)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    wait_until(lambda: not qemus_of(project), END_SECONDS, "all QEMUs end")
    assert list(evidence.iterdir()) == []
    assert set(SHARED_MEMORY.iterdir()) == shared_before
