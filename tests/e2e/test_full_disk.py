"""A disk of the host that is full is never a wrong dump."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e

# enough for the crash, too little for the dump that is written to the disk image
SIZE = "80M"
IN_A_SMALL_PLACE = f'mount -t tmpfs -o size={SIZE} small "$0" && exec "$@"'


def test_a_full_disk_while_the_dump_is_written(images, tmp_path: Path):
    """A mount of its own, which nobody else sees, and which ends with its process."""
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
