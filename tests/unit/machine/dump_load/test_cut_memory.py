"""A memory image that was truncated: the result is an error, not a signal."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import EvidenceError
from harness.machine.dump_load.old_memory import OldMemory
from harness.verify.evidence import RamImage

SIZE = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "ram.img"
    path.write_bytes(b"\x01" * SIZE)
    return path


def test_the_machines_side(image: Path):
    with OldMemory(SimpleNamespace(ram_image=image, memory=SIZE)) as memory:
        assert memory.read(SIZE - 4, 8) == b"\x01" * 4
        os.truncate(image, 4096)
        with pytest.raises(EvidenceError, match=f"{image} became shorter"):
            memory.read(SIZE // 2, 4096)


def test_the_side_of_the_checks(image: Path):
    with image.open("rb") as file:
        memory = RamImage(file, SIZE)
        assert memory.read(SIZE - 4, 8) == b"\x01" * 4
        os.truncate(image, 4096)
        with pytest.raises(EvidenceError, match=f"{image} became shorter"):
            memory.read(SIZE // 2, 4096)
