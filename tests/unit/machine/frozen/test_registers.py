"""What the human monitor says of a CPU that rests."""

from __future__ import annotations

import pytest

from harness.errors import ProtocolError
from harness.machine.frozen.registers import waits

REST = "\r\nR00=0000000000000000 R01=0000000000000000\r\n"


def shown(mask: str, cc: str) -> str:
    return f"PSW=mask {mask} addr 0000000000a31baa cc {cc:>15}{REST}"


def test_an_enabled_wait_with_condition_code_0_is_at_rest():
    assert waits(shown("0706c00180000000", "00"))


@pytest.mark.parametrize(
    ("mask", "cc"),
    [
        pytest.param("0704c00180000000", "00", id="runs"),
        pytest.param("0706e00180000000", "02", id="has a condition code"),
        pytest.param("0706c00180000000", "CC_OP_LTGT0_64", id="still to be computed"),
        pytest.param("0606c00180000000", "00", id="external interruptions are disabled"),
        pytest.param("0506c00180000000", "00", id="I/O interruptions are disabled"),
        pytest.param("0002000180000000", "00", id="a disabled wait"),
    ],
)
def test_nothing_else_is(mask, cc):
    assert not waits(shown(mask, cc))


@pytest.mark.parametrize("said", ["", "PSW=mask 0706c00180000000 addr 0000000000a31baa\r\n"])
def test_a_psw_without_its_condition_code_is_not_taken_for_one(said):
    with pytest.raises(ProtocolError, match="condition code"):
        waits(said)
