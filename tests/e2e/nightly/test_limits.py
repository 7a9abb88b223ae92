"""Every hostile file with every command on dumps: within 300 MB and 20 s, or refused in a line."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from tests.support.command_line.costs import assert_bounded, cost_of
from tests.support.command_line.dump_commands import COMMANDS
from tests.support.dumps.hostile import MIB, SHAPES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_hostile_file_is_within_the_limits(tmp_path: Path, shape: str, command: str):
    file = tmp_path / "hostile.img"
    SHAPES[shape](file)
    cost = cost_of("dump", *COMMANDS[command](file))
    for written in (file, file.with_name("converted")):  # they are large
        written.unlink(missing_ok=True)
    print(f"{shape}, {command}: exit {cost.code}, {cost.seconds:.1f} s, {cost.peak / 1e6:.0f} MB")
    assert_bounded(cost)


def test_a_kernel_of_4_gib_in_xz_is_refused(tmp_path: Path):
    packer = lzma.LZMACompressor(preset=0)
    head = bytearray(0x10500)
    head[0x10008:0x1000E] = b"S390EP"
    path = tmp_path / "bzImage"
    with path.open("wb") as file:
        file.write(head)
        for _ in range(4400):
            file.write(packer.compress(bytes(MIB)))
        file.write(packer.flush())
    cost = cost_of("config", "check", path)
    assert_bounded(cost)
    assert cost.code == 3
    assert "unpacks to more bytes, the limit is" in cost.errors
