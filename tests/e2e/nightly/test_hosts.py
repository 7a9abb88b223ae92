"""From a minimal Debian without any tools to PASS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 7200

pytestmark = pytest.mark.e2e


def demo(*arguments: str, directory: Path) -> str:
    """The output of a command, by default the demo, on a new host with the committed files."""
    if os.geteuid() or shutil.which("debootstrap") is None:
        pytest.fail("new hosts are made by root, with debootstrap: apt-get install debootstrap")
    done = subprocess.run(
        [sys.executable, "benchmarks/fresh_host.py", "--directory", str(directory), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_a_new_host_passes(tmp_path: Path) -> None:
    assert "\nPASS after " in demo("bookworm", directory=tmp_path)


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_a_new_host_compiles_both_kernels(suite: str, tmp_path: Path) -> None:
    run = "./bootstrap.sh setup && .venv/bin/zharness run panic"
    assert "\nPASS after " in demo(suite, "--", "sh", "-c", run, directory=tmp_path)


def test_a_host_without_debian_sources_passes(tmp_path: Path) -> None:
    assert "\nPASS after " in demo("trixie", "--without-sources", directory=tmp_path)


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_the_unit_tests_pass_on_a_new_host(suite: str, tmp_path: Path) -> None:
    tests = "./bootstrap.sh setup && .venv/bin/python -m pytest -q -n auto tests/unit tests/replay"
    demo(suite, "--", "sh", "-c", tests, directory=tmp_path)
