"""Hostile dump kernels of a few instructions, assembled from ``NAME.s``."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ENTRY = "0x10000"


def assemble(name: str, directory: Path) -> Path:
    """The kernel image of ``NAME.s``, in ``directory``."""
    linkable, image = directory / f"{name}.o", directory / f"{name}.bin"
    source = HERE / f"{name}.s"
    assembler = ["s390x-linux-gnu-as", "-march=z13", "-I", HERE, "-o", linkable, source]
    linker = ["s390x-linux-gnu-ld", "-Ttext=0", "-e", ENTRY, "--oformat=binary", "-o", image]
    for command in (assembler, [*linker, linkable]):
        subprocess.run(command, check=True, capture_output=True, text=True)
    return image
