"""If a disk of the host is full, the result is an error, not a wrong dump."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e

IN_A_SMALL_PLACE = 'mount -t tmpfs -o size={} small "$0" && exec "$@"'


# the crash takes 20 MB, the disk image with the data of its dump 20 to 30 MB, the dump system 32 MB
@pytest.mark.parametrize(
    ("size", "file", "when"),
    [("40M", "disk.img", "ERROR in phase dump"), ("70M", "dump/dump-system.elf", "ERROR after")],
    ids=["the dump", "the memory of the dump system"],
)
def test_a_full_disk_while_it_is_written(images, tmp_path: Path, size: str, file: str, when: str):
    """Run a command with a mount that only its process sees."""
    evidence = tmp_path / "evidence"
    script = IN_A_SMALL_PLACE.format(size)
    run = command("run", "quick", "--output", tmp_path / "evidence")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, tmp_path, *run],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"no space left for {evidence / file}: up to " in done.stdout
    assert when in done.stdout
    assert "hint: free some space" in done.stdout
