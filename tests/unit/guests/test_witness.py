"""images/system/witness on this host, in a directory of its own, where nothing can be mounted."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from harness.evidence.witness_report import parse, unpack
from harness.evidence.witnesses import Witnesses, made_content

SCRIPT = Path(__file__).parents[3] / "images/system/witness"
FILES = 12


@pytest.fixture(scope="module")
def top(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("witness")


@pytest.fixture(scope="module")
def told(top) -> Witnesses:
    (top / "bin").mkdir()
    (top / "bin/mount").write_text("#!/bin/sh\nexit 1\n")
    (top / "bin/mount").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", SCRIPT, str(FILES), top],
        env={"PATH": f"{top}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    report = unpack(done.stdout)
    assert report is not None
    return parse(report)


def test_it_makes_as_many_files_as_it_is_told_to(told, top):
    made = [file for file in told.files or () if file.offset is not None]
    assert len(made) == FILES
    assert all(file.path.startswith(f"{top}/") for file in made)
    assert len({Path(file.path).parent for file in made}) == 4


def test_the_content_of_each_is_the_one_that_is_said(told):
    for file in told.files or ():
        content = Path(file.path).read_bytes()
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256
        if file.offset is not None:
            assert content == made_content(file.offset, file.offset + file.size)


def test_some_files_are_those_of_the_system(told):
    assert "/etc/passwd" in {file.path for file in told.files or () if file.offset is None}


def test_it_tells_of_this_host(told):
    assert told.counters is not None
    assert told.counters.forks > told.counters.threads > 1
    tasks = {task.pid: task for task in told.tasks or ()}
    assert os.getpid() in tasks
    assert tasks[1].state in "RSDI"
    assert told.mounts
    assert len(told.tasks or ()) <= told.counters.threads + 8  # of its own
