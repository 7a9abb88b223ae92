"""The identity of this host, for the verdict."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from harness import __version__
from harness.qemu.binary import QemuBinary


def host_identity(binary: QemuBinary) -> dict[str, Any]:
    """JSON: the versions of the host and its programs."""
    return {
        "harness": __version__,
        "QEMU": binary.release,
        "QEMU's sandbox": "on" if binary.sandbox else "none: this QEMU has none, or not here",
        "qemu.qmp": version("qemu.qmp"),
        "drgn": version("drgn"),
        "Python": platform.python_version(),
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
