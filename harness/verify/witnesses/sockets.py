"""Compare the listening sockets in a dump with /proc/1/net."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.evidence.witnesses import WitnessedSocket, Witnesses
from harness.verify.witnesses.facts import Socket, SystemFacts
from harness.verify.witnesses.said import Said, same_keys


def check_sockets(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """The same sockets listen at the same addresses. One without a file is the kernel's own."""
    assert facts.sockets is not None
    if told.sockets is None:
        return
    listed = {_name(each): each for each in told.sockets if each.inode}
    found = {_name(each): each for each in facts.sockets}
    yield from same_keys(listed, found, "sockets", "listening socket")


def describe(sockets: tuple[Socket, ...]) -> str:
    """How many listen, and who listens where on TCP."""
    counts = Counter(socket.protocol for socket in sockets)
    each = ", ".join(f"{count} {protocol}" for protocol, count in sorted(counts.items()))
    where = "; ".join(f"{x.address}: {x.task}" for x in sockets if x.protocol != "unix")
    return f"sockets: {len(sockets)} listen: {each or 'none'}" + (f"; {where}" if where else "")


def _name(socket: WitnessedSocket | Socket) -> str:
    return f"{socket.protocol} {socket.address} (inode {socket.inode})"
