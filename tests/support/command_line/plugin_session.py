"""Sessions of pytest with the plugin, in a project that has the documentation's examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line.left_behind import qemus_of
from tests.support.command_line.zharness import RUN_SECONDS

FULL = "debian"
EXAMPLES = [
    "hsas[hsa_size=32M]",
    "hsas[hsa_size=64M]",
    "test_a_file_system",
    "test_a_message_survives",
    "test_bug",
]
DOCUMENT = Path(__file__).parents[3] / "docs/pytest.md"


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
