"""Run a command for which a directory is a read-only file system."""

from __future__ import annotations

import subprocess
from pathlib import Path

_MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def run_read_only(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` from the checkout; only this process sees the mount."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(directory), *command],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
