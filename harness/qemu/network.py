"""The network of a full system: one port of this host that leads to the system's SSH server.

QEMU's user-mode network (slirp) speaks with the guest in place of the host's network. With
``restrict=on`` it forwards nothing that the guest sends, to this host or elsewhere, but the answers
on connections to the forwarded port (QEMU qemu-options.hx, -netdev user).
"""

from __future__ import annotations

import re

from harness.deadline import Deadline
from harness.errors import ProtocolError
from harness.qemu.monitor import Monitor

HOST = "127.0.0.1"  # so nobody on another host can reach the port
GUEST_ADDRESS = (
    "10.0.2.15"  # slirp's default; it forwards to this address, so the guest must take it
)
SSH_PORT = 22
DEVNO = 0  # of the guest's network device, fe.0.0000: Linux calls it enc0

_ID = "n0"
# libslirp src/misc.c, slirp_connection_info: a line for each forwarded port, and one like it, with
# another state, for each connection
_FORWARDED = re.compile(
    rf"^ *TCP\[HOST_FORWARD\] +\d+ +{re.escape(HOST)} +(\d{{1,5}}) +\S+ +{SSH_PORT} ", re.MULTILINE
)
_MOST = 0xFFFF


def network_options() -> list[str]:
    """QEMU's options. The host chooses the port, so any number of systems can run."""
    forward = f"hostfwd=tcp:{HOST}:0-{GUEST_ADDRESS}:{SSH_PORT}"
    return [
        *("-netdev", f"user,id={_ID},restrict=on,ipv6=off,{forward}"),
        *("-device", f"virtio-net-ccw,netdev={_ID},devno=fe.0.{DEVNO:04x}"),
    ]


def forwarded_port(usernet: str) -> int | None:
    """The host's port in the output of ``info usernet``; None if there is none."""
    found = _FORWARDED.search(usernet)
    port = int(found[1]) if found else 0
    return port if 0 < port <= _MOST else None


def ssh_port(monitor: Monitor, deadline: Deadline) -> int:
    """The port of this host that leads to the guest's SSH server.

    QMP has no command that tells it (QEMU 7.2 qapi/net.json), so HMP is asked. Raises
    ProtocolError if QEMU does not tell it; what ``Monitor.execute`` raises.
    """
    asked = {"command-line": "info usernet"}
    port = forwarded_port(str(monitor.execute("human-monitor-command", asked, deadline=deadline)))
    if port is None:
        raise ProtocolError("QEMU does not tell the port that leads to the system's SSH server")
    return port
