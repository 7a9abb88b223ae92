"""If a disk of the host is full, the result is an error, not a wrong dump."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e

# enough space for the crash, but not for the dump in the disk image
SIZE = "80M"
IN_A_SMALL_PLACE = f'mount -t tmpfs -o size={SIZE} small "$0" && exec "$@"'


def test_a_full_disk_while_the_dump_is_written(images, tmp_path: Path):
    """Run a command with a mount that only its process sees."""
    evidence = tmp_path / "evidence"
    run = command("run", "quick", "--output", tmp_path / "evidence")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", IN_A_SMALL_PLACE, tmp_path, *run],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"no space left for {evidence / 'disk.img'}: up to " in done.stdout
    assert "ERROR in phase dump" in done.stdout
