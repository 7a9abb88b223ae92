"""A small system without faults: what it said of itself, and the same as read from a dump."""

from __future__ import annotations

import hashlib

from harness.evidence.witnesses import (
    Counters,
    Protocol,
    WitnessedFile,
    WitnessedModule,
    WitnessedMount,
    WitnessedSocket,
    WitnessedTask,
    Witnesses,
    made_content,
)
from harness.verify.witnesses.facts import (
    CachedFile,
    Module,
    Mount,
    Socket,
    SystemFacts,
    Text,
    Thread,
    Threads,
)

PAGE = 4096
ID = "cd" * 20
LOG = (
    "[    0.110421] Linux version 6.12.117",
    "[    0.481813] Run /init as init process",
    "[    1.500000] zcrash: loading out-of-tree module taints kernel.",
)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def cached(path: str, content: bytes, kind: str) -> CachedFile:
    """A file whose pages are all there."""
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    return CachedFile(
        path=path,
        kind=kind,
        size=len(content),
        pages=tuple((number, sha256(page)) for number, page in enumerate(pages)),
        entries=len(pages),
        counted=len(pages),
        largest=1,
        sha256=sha256(content),
    )


MADE = made_content(1000, 1000 + 3 * PAGE - 5)
PROGRAM = b"\x7fELF" * 2000

WITNESSES = Witnesses(
    counters=Counters(forks=88, threads=4, reclaimed=10),
    tasks=[
        WitnessedTask(pid=1, comm="sh", state="S", start=12, kernel=False),
        WitnessedTask(pid=2, comm="kthreadd", state="S", start=0, kernel=True),
        WitnessedTask(
            pid=9, comm="kworker/0:1-events", state="I", start=1, kernel=True, worker=True
        ),
        WitnessedTask(pid=30, comm="dead", state="Z", start=70, kernel=False),
    ],
    modules=[
        WitnessedModule(name="zcrash", size=12288, state="Live", address=0x3FF, build_id=ID),
        WitnessedModule(name="hidden", size=8192, state="Live", address=0),
    ],
    mounts=[
        WitnessedMount(
            id=20,
            parent=1,
            device="0:2",
            root="/",
            point="/",
            read_only=False,
            kind="rootfs",
            source="rootfs",
        ),
        WitnessedMount(
            id=21,
            parent=20,
            device="8:1",
            root="/",
            point="/disk",
            read_only=True,
            kind="ext4",
            source="/dev/sda1",
        ),
    ],
    sockets=[
        WitnessedSocket(protocol=Protocol.TCP, address="0.0.0.0:22", inode=1598),
        WitnessedSocket(protocol=Protocol.UNIX, address="/run/x", inode=2672),
        WitnessedSocket(protocol=Protocol.TCP, address="0.0.0.0:2049", inode=0),
    ],
    log=list(LOG[1:]),
    journal=["[    0.110421] debian kernel: Linux version 6.12.117"],
    files=[
        WitnessedFile(path="/tmp/made", size=len(MADE), sha256=sha256(MADE), offset=1000),
        WitnessedFile(path="/disk/program", size=len(PROGRAM), sha256=sha256(PROGRAM)),
    ],
)

SYSTEM = SystemFacts(
    threads=Threads(
        tasks=(
            Thread(1, "sh", "R", 12, kernel=False),
            Thread(2, "kthreadd", "S", 0, kernel=True),
            Thread(9, "kworker/0:1", "I", 1, kernel=True),
            Thread(30, "dead", "Z", 70, kernel=False),
        ),
        count=4,
        forks=88,
        reclaimed=10,
        changing=False,
    ),
    modules=(
        Module("zcrash", 12288, "Live", 0x3FF, ID, Text(1000)),
        Module("hidden", 8192, "Live", 0x4FF, None),
    ),
    mounts=(
        Mount(1, 1, "0:1", "/", None, read_only=False, kind="rootfs", source="none", listed=True),
        Mount(20, 1, "0:2", "/", "/", read_only=False, kind="rootfs", source="rootfs", listed=True),
        Mount(
            21,
            20,
            "8:1",
            "/",
            "/disk",
            read_only=True,
            kind="ext4",
            source="/dev/sda1",
            listed=True,
        ),
    ),
    sockets=(
        Socket("tcp", "0.0.0.0:22", 1598, "sshd (pid 400)"),
        Socket("unix", "/run/x", 2672, "systemd (pid 1)"),
    ),
    log=LOG,
    files=(cached("/tmp/made", MADE, "tmpfs"), cached("/disk/program", PROGRAM, "ext4")),
)
