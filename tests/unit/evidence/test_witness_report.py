"""The report of a running system: whatever it prints, it is read, within limits."""

from __future__ import annotations

import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError
from harness.evidence import witnesses
from harness.evidence.witness_report import MAX_REPORT, SECTIONS, parse, unescaped, unpack
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

SHA = "ab" * 32
REPORT = f"""\
== files
9 700 /tmp/zharness-witness/file 0
100 - /bin/busybox
== sha256
{SHA}  /tmp/zharness-witness/file 0
{SHA}  /bin/busybox
== modules
zcrash 12288 0 - Live 0x000003ff7ffbb000 (O)
ext4 937984 1 - Live 0x0
== build-ids
/sys/module/zcrash/notes/.note.gnu.build-id 000000040000001400000003474e5500{"cd" * 20}
== tcp
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0A00020F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1598 1 0
   1: 0A00020F:0016 0A000202:A5D2 01 00000000:00000000 00:00000000 00000000     0        0 1600 4 0
== tcp6
  sl  local_address                         remote_address                        st tx_queue ...
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A \
00000000:00000000 00:00000000 00000000     0        0 1599 1 00000000cf3add4d 100 0 0 10 0
== unix
Num       RefCount Protocol Flags    Type St Inode Path
00000000d6e75eba: 00000003 00000000 00000000 0001 03  1595
000000002558ff16: 00000002 00000000 00010000 0001 01  2672 /run/systemd/private
000000002558ff17: 00000002 00000000 00010000 0001 01  2673 @abstract name
== mounts
20 1 0:2 / / rw - rootfs rootfs rw
65 20 0:40 / /tmp/a\\040b ro,nosuid shared:7 master:2 - fuse.sshfs tmp\\134fs rw
== journal
[    0.110421] debian kernel: Linux version 6.1.0
== log
[    0.110421] Linux version 6.1.0
== counters
processes 88
0.08 0.03 0.01 1/61 87
pgsteal_kswapd 10
pgsteal_direct 5
pgsteal_anon 3
pgsteal_file 12
== tasks
1 (sh) S 0 1 1 1025 1 4194560 600 9000 0 0 3 20 0 40 20 0 1 0 12 1234 56 18446744073709551615
33 (a) b (c) R 1 1 1 1025 1 {0x200020} 0 0 0 0 3 20 0 40 20 0 1 0 77 0 0 18446744073709551615
== end
"""


def pack(report: str) -> str:
    return base64.encodebytes(gzip.compress(report.encode(), mtime=0)).decode()


def test_every_part_of_a_report_is_read():
    told = parse(REPORT)
    assert told.counters == Counters(forks=88, threads=61, reclaimed=15)
    assert told.tasks == [
        WitnessedTask(pid=1, comm="sh", state="S", start=12, kernel=False),
        WitnessedTask(pid=33, comm="a) b (c", state="R", start=77, kernel=True, worker=True),
    ]
    assert told.modules == [
        WitnessedModule(
            name="zcrash", size=12288, state="Live", address=0x3FF7FFBB000, build_id="cd" * 20
        ),
        WitnessedModule(name="ext4", size=937984, state="Live", address=0),
    ]
    assert told.sockets == [
        WitnessedSocket(protocol=Protocol.TCP, address="10.0.2.15:22", inode=1598),
        WitnessedSocket(protocol=Protocol.TCP6, address=":::22", inode=1599),
        WitnessedSocket(protocol=Protocol.UNIX, address="/run/systemd/private", inode=2672),
        WitnessedSocket(protocol=Protocol.UNIX, address="@abstract name", inode=2673),
    ]
    assert told.log == ["[    0.110421] Linux version 6.1.0"]
    assert told.journal == ["[    0.110421] debian kernel: Linux version 6.1.0"]


def test_mounts_are_unescaped():
    told = parse(REPORT)
    assert told.mounts is not None
    assert told.mounts[1] == WitnessedMount(
        id=65,
        parent=20,
        device="0:40",
        root="/",
        point="/tmp/a b",
        read_only=True,
        kind="fuse.sshfs",
        source="tmp\\fs",
    )


def test_files_have_their_digest_and_how_they_were_made():
    assert parse(REPORT).files == [
        WitnessedFile(path="/tmp/zharness-witness/file 0", size=9, sha256=SHA, offset=700),
        WitnessedFile(path="/bin/busybox", size=100, sha256=SHA),
    ]


def test_a_section_that_is_not_there_is_none():
    told = parse("== log\n== end\n")
    assert told == Witnesses(log=[])


def test_content_cannot_begin_a_section_that_was_there():
    told = parse("== log\nx\n== modules\nevil 1 0 - Live 0x0\n== end\n")
    assert told.modules is None
    assert told.log == ["x", "== modules", "evil 1 0 - Live 0x0"]


def test_kernel_messages_between_the_lines_do_no_harm():
    lines = pack(REPORT).splitlines()
    lines.insert(2, "[   12.345678] virtio: something happened, at last")
    assert unpack("\r\n".join(lines)) == REPORT


@pytest.mark.parametrize(
    "output",
    ["", "not packed", pack("")[:-8], pack("== log\n"), pack(REPORT)[:-40], "AAAA" * 20],
)
def test_a_damaged_report_is_none(output: str):
    assert unpack(output) is None


def test_a_report_that_would_become_too_large_is_none():
    assert unpack(pack("x" * (MAX_REPORT + 1) + "\n== end\n")) is None


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=80)


@given(st.lists(st.one_of(LINES, st.sampled_from([f"== {name}" for name in SECTIONS]))))
def test_anything_is_read(lines: list[str]):
    told = parse("\n".join(lines))
    assert Witnesses.model_validate(told.model_dump()) == told


@given(st.binary(max_size=400))
def test_anything_is_unpacked(content: bytes):
    unpack(content.decode(errors="replace"))


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=15)
NUMBERS = st.integers(0, (1 << 32) - 1)


@given(st.lists(st.tuples(NUMBERS, NAMES, st.sampled_from("RSDZTI"), NUMBERS, st.booleans())))
def test_tasks_are_those_that_are_listed(tasks: list[tuple[int, str, str, int, bool]]):
    lines = [
        f"{pid} ({comm}) {state} 0 1 1 1025 1 {0x200000 * kernel} {'0 ' * 12}{start} 0 0"
        for pid, comm, state, start, kernel in tasks
    ]
    told = parse("\n".join(["== tasks", *lines, "== end"]))
    assert told.tasks == [
        WitnessedTask(pid=pid, comm=comm, state=state, start=start, kernel=kernel)
        for pid, comm, state, start, kernel in tasks
    ]


POINTS = st.text(st.characters(codec="ascii"), max_size=20).map(
    lambda text: "/" + text.replace("\0", "")
)


@given(POINTS)
def test_a_mount_point_may_have_any_name(point: str):
    escaped = "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in point)
    assert unescaped(escaped) == point


def test_there_is_a_most_of_everything():
    many = witnesses.MAX_FILES + 7
    lines = [f"1 - /file-{number}" for number in range(many)]
    sums = [f"{SHA}  /file-{number}" for number in range(many)]
    told = parse("\n".join(["== files", *lines, "== sha256", *sums, "== end"]))
    assert len(told.files or ()) == witnesses.MAX_FILES


@given(st.integers(0, 9000), st.integers(0, 9000))
def test_a_part_of_made_content_is_that_of_the_whole(one: int, other: int):
    start, end = sorted((one, other))
    whole = b"".join(b"%d\n" % (1_000_000 + line) for line in range(1200))
    assert made_content(start, end) == whole[start:end]


def test_witnesses_are_kept(tmp_path):
    assert Witnesses.load(tmp_path) is None
    told = parse(REPORT)
    told.save(tmp_path)
    assert Witnesses.load(tmp_path) == told


@pytest.mark.parametrize("content", ["[]", '{"tasks": 7}', '{"files": [{"path": "x"}]}'])
def test_damaged_witnesses_are_refused(tmp_path, content: str):
    (tmp_path / "witnesses.json").write_text(content)
    with pytest.raises(EvidenceError, match=r"witnesses\.json"):
        Witnesses.load(tmp_path)


def test_the_last_line_may_be_of_any_length():
    """base64 ends in "AA==" or "AAA=" for two lengths of three."""
    last = set()
    for length in range(200):
        report = "".join(map(str, range(length))) + "\n== end\n"
        packed = pack(report)
        last.add(len(packed.split()[-1].rstrip("=")) % 4)
        assert unpack(packed) == report, length
    assert last == {0, 2, 3}
