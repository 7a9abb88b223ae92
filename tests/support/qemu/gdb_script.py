"""A fake gdbstub with a script of answers."""

from __future__ import annotations

from tests.support.qemu.gdb_transcript import Line, parse_line

TARGET = (
    '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
    '<architecture>s390:64-bit</architecture><xi:include href="core.xml"/>'
    '<xi:include href="acr.xml"/></target>'
)
CORE = '<feature name="c"><reg name="pswm" bitsize="64"/><reg name="pswa" bitsize="64"/></feature>'
ACR = '<feature name="a"><reg name="acr0" bitsize="32" regnum="18"/><reg name="acr1" bitsize="32"/>'
ACR += "</feature>"
HANDSHAKE = f"""
> qSupported
< PacketSize=1000;qXfer:features:read+
> QStartNoAckMode
< %s
> qXfer:features:read:target.xml:0,7f0
< m{TARGET[:40]}
> qXfer:features:read:target.xml:28,7f0
< l{TARGET[40:]}
> qXfer:features:read:core.xml:0,7f0
< l{CORE}
> qXfer:features:read:acr.xml:0,7f0
< l{ACR}
"""


def script(text: str) -> list[Line]:
    return [line for raw in text.splitlines() if (line := parse_line(raw))]
