"""Listening sockets, found in the tables of open files of all processes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from drgn import Object, Program, cast
from drgn.helpers.linux.fs import for_each_file
from drgn.helpers.linux.pid import for_each_task

from harness.verify.semantic.drgn_reader.system.bounded import Broken, bounded, text
from harness.verify.semantic.drgn_reader.tasks import MAX_TASKS
from harness.verify.witnesses.facts import Socket

MAX_FILES = 1 << 16  # of one process; a table can be larger
_LISTEN = 10  # TCP_LISTEN, which UNIX sockets use, too: Linux include/net/tcp_states.h
_FAMILIES = {1: "unix", 2: "tcp", 10: "tcp6"}  # AF_UNIX, AF_INET, AF_INET6
_TCP = 6  # IPPROTO_TCP
_PATH_AT = 2  # in struct sockaddr_un


def read_sockets(program: Program) -> tuple[Socket, ...]:
    """Each once, with the first process that has it open; in the order of their inodes."""
    if "socket_file_ops" not in program:
        return ()
    operations = program["socket_file_ops"].address_of_()
    found: dict[int, Socket] = {}
    for task in bounded(for_each_task(program), MAX_TASKS, "tasks"):
        if task != task.group_leader or not task.files:
            continue
        if int(task.files.fdt.max_fds) > MAX_FILES:
            raise Broken(f"process {int(task.pid)} has a table of {int(task.files.fdt.max_fds)}")
        for _, file in for_each_file(task):
            if file and file.f_op == operations:
                for socket in _listening(program, file, task):
                    found.setdefault(socket.inode, socket)
    return tuple(found[inode] for inode in sorted(found))


def _listening(program: Program, file: Object, task: Object) -> Iterator[Socket]:
    socket = cast("struct socket *", file.private_data)
    sock = socket.sk.read_()
    if not sock or int(sock.__sk_common.skc_state) != _LISTEN:
        return
    protocol = _FAMILIES.get(int(sock.__sk_common.skc_family))
    if protocol is None or (protocol != "unix" and int(sock.sk_protocol) != _TCP):
        return
    address = _path(program, sock) if protocol == "unix" else _address(sock, protocol)
    comm = text(task.comm.string_())
    yield Socket(protocol, address, int(file.f_inode.i_ino), f"{comm} (pid {int(task.pid)})")


def _address(sock: Object, protocol: str) -> str:
    """Addresses are in network order, and so is the machine."""
    common = sock.member_("__sk_common")
    if protocol == "tcp":
        address = ipaddress.ip_address(int(common.skc_rcv_saddr))
    else:
        words = common.skc_v6_rcv_saddr.in6_u.u6_addr8
        address = ipaddress.ip_address(bytes(int(word) for word in words))
    return f"{address}:{int(common.skc_num)}"


def _path(program: Program, sock: Object) -> str:
    address = cast("struct unix_sock *", sock).addr.read_()
    if not address:
        return ""
    length = int(address.len) - _PATH_AT
    if not 0 <= length <= 108:
        raise Broken(f"a UNIX socket's path has {length} bytes")
    at = int(address.name.address_of_()) + _PATH_AT
    path = program.read(at, length)
    if path.startswith(b"\0"):  # abstract, as unix_seq_show() prints it
        return text(path.replace(b"\0", b"@"))
    return text(path.split(b"\0", 1)[0])
