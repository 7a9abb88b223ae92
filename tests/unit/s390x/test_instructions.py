from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.s390x.instructions import Opcode, Operands, decode, find

ALL = frozenset(Opcode)


def test_decodes_what_a_kernel_contains():
    # from objdump of a dump kernel built from Linux 6.12
    assert decode(bytes.fromhex("83210308")) == (Opcode.DIAG308, Operands(2, 1, 0))
    assert decode(bytes.fromhex("ae214000")) == (Opcode.SIGP, Operands(2, 1, 4))
    assert decode(bytes.fromhex("b2200023")) == (Opcode.SERVC, Operands(2, 3, 0))
    assert decode(bytes.fromhex("832b0224")) is None  # diag 0x224
    assert decode(b"") is None


@given(before=st.binary(), after=st.binary(), opcode=st.sampled_from(list(Opcode)))
def test_finds_an_instruction_wherever_it_stands(before, after, opcode):
    instruction = {
        Opcode.DIAG308: bytes.fromhex("834a0308"),
        Opcode.SERVC: bytes.fromhex("b2200012"),
        Opcode.SIGP: bytes.fromhex("ae014000"),
    }[opcode]
    padded = before + b"\0" * (len(before) % 2)
    hits = list(find(padded + instruction + after, ALL))
    assert (len(padded), opcode) in hits


def test_a_false_hit_at_an_odd_offset_hides_nothing():
    code = bytes.fromhex("00 83 83 03 03 08 83 24 03 08")
    assert (6, Opcode.DIAG308) in list(find(code, ALL))


@given(code=st.binary(), at=st.integers(0, 40), size=st.integers(1, 40))
def test_a_part_has_what_begins_there(code, at, size):
    whole = find(code * 9, ALL)
    assert list(find(code * 9, ALL, at, at + size)) == [
        hit for hit in whole if at <= hit[0] < at + size
    ]


@given(st.binary())
def test_every_hit_decodes(code):
    for offset, opcode in find(code, ALL):
        assert offset % 2 == 0
        found = decode(code[offset : offset + 4])
        assert found is not None
        assert found[0] is opcode
