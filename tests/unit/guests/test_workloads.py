"""The scripts of workloads: they are scripts, and what they do here is what their rows say."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.host.paths import data_dir
from harness.s390x.lowcore import PAGE_SIZE
from harness.triggers.known_content import known_content
from harness.triggers.workloads import WORKLOADS

SCRIPTS = sorted((data_dir() / "images/system/workloads").iterdir())
SECONDS = 60
ON_THIS_HOST = ("fork-storm", "loopback")  # without root, and without a change to the host


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_one(script: Path):
    text = script.read_bytes().decode("ascii")
    first, _ = text.split("\n", 1)
    assert first in ("#!/bin/sh", "#!/usr/bin/python3")
    assert "ZHARNESS_COUNTER" in text
    assert "\t" not in text
    if first == "#!/bin/sh":
        subprocess.run(["sh", "-n", script], check=True)
        assert "set -eu\n" in text
    else:
        ast.parse(text)


Start = Callable[[str], Path]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a script on this host; returns its counter's file."""
    counter = tmp_path / "counter"
    groups: list[subprocess.Popen[bytes]] = []

    def run(name: str) -> Path:
        script = data_dir() / "images" / WORKLOADS[name].script
        env = {**os.environ, "ZHARNESS_COUNTER": str(counter), "ZHARNESS_SEED": "1"}
        groups.append(subprocess.Popen([script], env=env, start_new_session=True))
        return counter

    yield run
    for group in groups:
        os.killpg(group.pid, signal.SIGKILL)
        group.wait()


@pytest.mark.parametrize("name", ON_THIS_HOST)
def test_a_counter_grows_and_is_never_torn(start: Start, name: str):
    counter, seen = start(name), [-1]
    deadline = Deadline(SECONDS)
    while len(seen) < 4 and not deadline.expired:
        text = counter.read_text() if counter.exists() else ""
        assert text == "" or re.fullmatch(r"\d{15}\n", text)
        if text and int(text) > seen[-1]:
            seen.append(int(text))
    assert len(seen) == 4


def awk_program() -> str:
    script = (data_dir() / "images" / WORKLOADS["page-cache"].script).read_text()
    found = re.search(r"'(BEGIN \{.*?\n    \})'", script, re.DOTALL)
    assert found is not None
    return found[1]


@given(seed=st.integers(0, 2**31 - 1), files=st.integers(1, 4), pages=st.integers(0, 4))
def test_the_system_writes_the_content_that_is_known(seed: int, files: int, pages: int):
    with tempfile.TemporaryDirectory() as place:
        given = [f"-vseed={seed}", f"-vfiles={files}", f"-vpages={pages}", f"-vplace={place}"]
        subprocess.run(["awk", *given, awk_program()], check=True)
        for number in range(files):
            content = Path(place, f"{number:03}").read_bytes()
            assert content == known_content(seed, number, pages * PAGE_SIZE)


@given(number=st.integers(0, 999), size=st.integers(0, 5000))
def test_a_shorter_file_is_the_begin_of_a_longer_one(number: int, size: int):
    content = known_content(1, number, size)
    assert len(content) == size
    assert known_content(1, number, 5000).startswith(content)


def test_no_two_pages_are_equal():
    contents = [known_content(1, number, 16 * 4096) for number in range(100)]
    pages = {content[at : at + 4096] for content in contents for at in range(0, len(content), 4096)}
    assert len(pages) == 1600
