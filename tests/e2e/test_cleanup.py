"""However a run ends, nothing is left behind: no QEMU, no file in /dev/shm, and a valid store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from harness.host.signals import ENDING
from tests.support.command_line.left_behind import (
    END_SECONDS,
    PHASES,
    SHARED_MEMORY,
    START_SECONDS,
    qemus_of,
    reached,
    wait_until,
)
from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e


@pytest.fixture
def started(images, tmp_path) -> Iterator[tuple[subprocess.Popen, Path]]:
    evidence = tmp_path / "evidence"
    process = subprocess.Popen(
        command("run", "panic", "--fresh", "--output", evidence),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # its children inherit the environment: that is how they are found again
        env={**os.environ, "ZHARNESS_TEST_EVIDENCE": str(evidence)},
    )
    yield process, evidence
    process.kill()
    process.communicate()


# every phase; and every signal in one phase with QEMU and in one without
@pytest.mark.parametrize(("phase", "number"), list(zip(PHASES, cycle(ENDING))))
def test_an_interrupt_in_any_phase_leaves_nothing(started, zharness, phase, number):
    process, evidence = started
    shared_before = set(SHARED_MEMORY.iterdir())
    wait_until(lambda: reached(evidence, phase) or process.poll() is not None, START_SECONDS, phase)
    process.send_signal(number)
    _, err = process.communicate(timeout=END_SECONDS + 5)
    assert process.returncode == 128 + number, err
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert err.splitlines()[-1] == f"zharness: interrupted{by}"
    verdict = json.loads((evidence / "verdict.json").read_bytes())
    assert (verdict["verdict"], verdict["cause"]) == ("INTERRUPTED", number.name)
    assert "Traceback" not in err
    wait_until(lambda: not qemus_of(evidence), END_SECONDS, "all QEMUs end")
    assert set(SHARED_MEMORY.iterdir()) == shared_before
    assert not (evidence / "disk.img").exists()
    assert zharness("images", "list", "--json").code == 0


def test_a_kill_in_the_dump_phase_leaves_no_qemu_and_a_valid_store(started, zharness):
    process, evidence = started
    shared_before = set(SHARED_MEMORY.iterdir())
    wait_until(
        lambda: reached(evidence, "dump") and qemus_of(evidence), START_SECONDS, "the dump phase"
    )
    process.kill()
    process.wait()
    wait_until(lambda: not qemus_of(evidence), END_SECONDS, "all QEMUs end")
    assert set(SHARED_MEMORY.iterdir()) == shared_before
    ran = zharness("run", "panic", "--json", "--output", evidence.with_name("again"))
    assert ran.code == 0, ran.err
