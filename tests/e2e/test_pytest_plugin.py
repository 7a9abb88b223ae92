"""The pytest plugin as in its documentation, in separate sessions with two workers."""

from __future__ import annotations

import os
import re
import shlex
import signal

import pytest

from tests.support.command_line.left_behind import (
    END_SECONDS,
    SHARED_MEMORY,
    START_SECONDS,
    qemus_of,
    wait_until,
)
from tests.support.command_line.plugin_session import EXAMPLES, FULL, passing, project, session
from tests.support.command_line.zharness import RUN_SECONDS

__all__ = ["project", "session"]  # fixtures

pytestmark = pytest.mark.e2e

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
