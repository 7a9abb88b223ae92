from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ProtocolError
from harness.qemu.gdbstub.rsp import (
    Decoder,
    Packet,
    PacketKind,
    StopReply,
    WatchKind,
    encode,
    parse_stop_reply,
)

payloads = st.binary(max_size=200) | st.text("#$}*ab", max_size=30).map(str.encode)
bare = st.sampled_from(
    [
        (b"+", Packet(b"", PacketKind.ACK)),
        (b"-", Packet(b"", PacketKind.NAK)),
        (b"\x03", Packet(b"", PacketKind.INTERRUPT)),
    ]
)
units = bare | payloads.map(lambda payload: (encode(payload), Packet(payload)))


def decode(stream: bytes, cuts: Iterable[int] = ()) -> list[Packet]:
    decoder = Decoder()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [packet for start, end in pairwise(edges) for packet in decoder.feed(stream[start:end])]


@given(payloads)
def test_round_trip(payload: bytes):
    assert decode(encode(payload)) == [Packet(payload)]


@given(payloads)
def test_encoded_payload_has_no_framing_inside(payload: bytes):
    body = encode(payload)[1:-3]
    assert not set(body) & set(b"#$*")


@given(st.lists(units, max_size=8), st.lists(st.integers(0, 5000), max_size=12))
def test_chunking_does_not_matter(parts: list[tuple[bytes, Packet]], cuts: list[int]):
    stream = b"".join(raw for raw, _ in parts)
    assert decode(stream, cuts) == [packet for _, packet in parts]


@given(st.lists(st.binary(max_size=40) | st.text("$%#}*+-0", max_size=12).map(str.encode)))
def test_garbage_raises_nothing_but_protocol_errors(pieces: list[bytes]):
    for acknowledge in (True, False):
        decoder = Decoder(acknowledge=acknowledge)
        for piece in pieces:
            try:
                list(decoder.feed(piece))
            except ProtocolError:
                continue


def test_goes_on_behind_an_error():
    decoder = Decoder()
    with pytest.raises(ProtocolError, match="0x7a between"):
        list(decoder.feed(b"z" + encode(b"OK")))
    assert list(decoder.feed(b"")) == [Packet(b"OK")]


def test_known_packets():
    assert encode(b"m80,8") == b"$m80,8#39"
    assert encode(b"#") == b"$}\x03#80"
    assert decode(b"$OK#9a") == [Packet(b"OK")]
    assert decode(b"$OK#9A") == [Packet(b"OK")]


def test_run_lengths():
    body = b'0* 1"x*~'  # 3 more zeros; then 97 more x
    stream = b"$%b#%02x" % (body, sum(body) & 0xFF)
    assert decode(stream) == [Packet(b'00001"' + b"x" * 98)]


@pytest.mark.parametrize("body", [b"* ", b"a*", b"a*\x1f", b"a*\x7f", b"a}"])
def test_broken_bodies(body: bytes):
    with pytest.raises(ProtocolError, match=r"run length|escape"):
        decode(b"$%b#%02x" % (body, sum(body) & 0xFF))


def test_wrong_checksum():
    assert decode(b"$OK#9b") == [Packet(b"OK", PacketKind.CORRUPT)]
    with pytest.raises(ProtocolError, match="wrong checksum"):
        list(Decoder(acknowledge=False).feed(b"$OK#9b"))
    with pytest.raises(ProtocolError, match="wrong checksum"):
        list(Decoder().feed(b"%Stop#00"))


def test_a_notification_is_told_from_a_packet():
    assert decode(b"%OK#9a") == [Packet(b"OK", PacketKind.NOTIFICATION)]


def test_a_packet_without_end_is_refused():
    with pytest.raises(ProtocolError, match="longer than"):
        list(Decoder().feed(b"$" + b"a" * (2 << 20)))


@pytest.mark.parametrize(
    ("payload", "stop"),
    [
        (b"T05thread:01;", StopReply(5, thread=1)),
        (b"T05thread:p01.1f;", StopReply(5, thread=0x1F)),
        (b"T05thread:02;watch:8f;", StopReply(5, 2, WatchKind.WRITE, 0x8F)),
        (b"T05rwatch:86;thread:01;", StopReply(5, 1, WatchKind.READ, 0x86)),
        (b"T05thread:p01.01;awatch:3ffe0001d0;", StopReply(5, 1, WatchKind.ACCESS, 0x3FFE0001D0)),
        (b"T05swbreak:;thread:01;", StopReply(5, 1)),
        (b"T8f", StopReply(0x8F)),
        (b"S02", StopReply(2)),
        (b"W00", StopReply(exit_status=0)),
        (b"W01;process:1", StopReply(exit_status=1)),
        (b"X09", StopReply(9, exit_status=9)),
    ],
)
def test_stop_replies(payload: bytes, stop: StopReply):
    assert parse_stop_reply(payload) == stop
    assert parse_stop_reply(payload).exited == (payload[:1] in b"WX")


@pytest.mark.parametrize(
    "payload",
    [b"", b"OK", b"E14", b"T", b"T5", b"Txx", b"S050", b"T05thread:;", b"T05watch:-1;", b"T05x;"],
)
def test_other_packets_are_not_stop_replies(payload: bytes):
    with pytest.raises(ProtocolError, match="is not a stop reply"):
        parse_stop_reply(payload)


@pytest.mark.parametrize(
    "payload",
    [b"W00x", b"T05thread:p1;", b"T05thread:p.1;", b"T05watch:0x1;", b"T+5", b"\xff\xff\xff"],
)
def test_damaged_stop_replies_are_refused(payload: bytes):
    with pytest.raises(ProtocolError, match="is not a stop reply"):
        parse_stop_reply(payload)


@given(st.binary(max_size=30) | st.text("TSWX05threadwch:;p.-", max_size=20).map(str.encode))
def test_stop_reply_garbage(payload: bytes):
    with suppress(ProtocolError):
        parse_stop_reply(payload)
