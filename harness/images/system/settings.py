"""Our own files in a full system: those below a directory of ``images/system``."""

from __future__ import annotations

from string import Template

from harness.host.paths import data_dir
from harness.images.system.root_disk import PARTUUID
from harness.images.system.tree import files_below


def own_files(directory: str) -> dict[str, tuple[str, int]]:
    """Text and mode of each file by its path in the system, without the first slash.

    "root": what packages need while they are configured; "settings": how the system shall be.
    """
    source = data_dir() / "images" / "system" / directory
    return {
        str(path.relative_to(source)): (
            Template(path.read_text()).safe_substitute(PARTUUID=PARTUUID),
            path.stat().st_mode & 0o755 | 0o644,
        )
        for path in sorted(files_below(source))
    }
