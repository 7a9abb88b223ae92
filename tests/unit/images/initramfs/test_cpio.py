from __future__ import annotations

import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError, UsageError
from harness.images.initramfs import cpio
from harness.images.initramfs.cpio import Entry
from tests.support.strategies import unsigned

names = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda name: name != cpio.TRAILER)
permissions = unsigned(12)


def objects(kind: int, **fields: st.SearchStrategy) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        name=names,
        mode=permissions.map(lambda mode: kind | mode),
        uid=unsigned(32),
        gid=unsigned(32),
        **fields,
    )


entries = st.lists(
    st.one_of(
        objects(
            stat.S_IFREG,
            data=st.binary(max_size=300),
            links=st.lists(names, max_size=3).map(tuple),
        ),
        objects(stat.S_IFDIR),
        objects(stat.S_IFLNK, data=st.binary(min_size=1, max_size=100)),
        objects(stat.S_IFIFO),
        objects(stat.S_IFSOCK),
        objects(stat.S_IFCHR, device=st.tuples(unsigned(12), unsigned(20))),
        objects(stat.S_IFBLK, device=st.tuples(unsigned(12), unsigned(20))),
    ),
    max_size=8,
)

SAMPLE = [
    Entry("bin", stat.S_IFDIR | 0o755),
    Entry("bin/tool", stat.S_IFREG | 0o755, b"12345", uid=1, gid=2, links=("bin/t1", "bin/t2")),
    Entry("bin/sh", stat.S_IFLNK | 0o777, b"tool"),
    Entry("console", stat.S_IFCHR | 0o600, device=(5, 1)),
]


@given(entries)
def test_round_trip(given_entries: list[Entry]):
    assert list(cpio.entries(cpio.archive(given_entries))) == given_entries


@given(entries)
def test_archive_is_reproducible_and_whole_blocks(given_entries: list[Entry]):
    first = cpio.archive(given_entries)
    assert first == cpio.archive(iter(given_entries))
    assert len(first) % 512 == 0


def test_an_archive_has_exactly_these_bytes():
    header = (
        b"070701"
        b"00000001"  # inode
        b"000081A4"
        b"00000001"
        b"00000002"
        b"00000001"  # links
        b"00000000"  # mtime
        b"00000003"  # size
        b"00000000"
        b"00000000"
        b"00000000"
        b"00000000"
        b"00000002"  # name with its NUL
        b"00000000"
    )
    # 110 bytes of header and 2 of name are a multiple of 4 already; 3 of data are not
    start = header + b"a\0" + b"xyz\0"
    data = cpio.archive([Entry("a", stat.S_IFREG | 0o644, b"xyz", uid=1, gid=2)])
    assert data[: len(start)] == start
    assert data[len(start) :].startswith(b"070701" + b"0" * 32)
    assert data.rstrip(b"\0").endswith(b"TRAILER!!!")


def test_order_is_kept():
    reverse = [Entry(name, stat.S_IFREG) for name in "cba"]
    assert [entry.name for entry in cpio.entries(cpio.archive(reverse))] == ["c", "b", "a"]


def test_only_the_last_name_of_a_file_has_its_data():
    data = cpio.archive([Entry("a", stat.S_IFREG, b"content", links=("b", "c"))])
    assert data.count(b"content") == 1
    assert data.index(b"content") > data.rindex(b"c\0", 0, data.index(b"TRAILER"))


@pytest.mark.parametrize(
    "entry",
    [
        Entry("a\0b", stat.S_IFREG),
        Entry("a", stat.S_IFREG, uid=1 << 32),
        Entry("a", stat.S_IFREG, gid=-1),
        Entry("a", stat.S_IFCHR, device=(0, 1 << 32)),
        Entry(cpio.TRAILER, stat.S_IFREG),
        Entry("a", stat.S_IFREG, links=(cpio.TRAILER,)),
    ],
)
def test_impossible_entries_are_refused(entry: Entry):
    with pytest.raises(UsageError, match="cpio"):
        cpio.archive([entry])


@pytest.mark.parametrize("size", [0, 109, 110, 200, 400])
def test_a_truncated_archive_is_refused_with_its_place(size: int):
    data = cpio.archive(SAMPLE)
    with pytest.raises(EvidenceError, match=r"offset|past the end"):
        list(cpio.entries(data[:size]))


@given(st.binary(max_size=300), st.integers(0, 400))
def test_foreign_bytes_are_an_error_or_entries(junk: bytes, at: int):
    data = bytearray(cpio.archive(SAMPLE))
    data[at : at + len(junk)] = junk
    try:
        found = list(cpio.entries(bytes(data)))
    except EvidenceError:
        return
    assert all(isinstance(entry, Entry) for entry in found)


@pytest.mark.parametrize("field", [b"-0000001", b"0x000001", b"1_000000", b"       1"])
def test_only_hexadecimal_digits_are_numbers(field: bytes):
    data = bytearray(cpio.archive(SAMPLE))
    data[6:14] = field
    with pytest.raises(EvidenceError, match="no newc header at offset 0x0"):
        list(cpio.entries(bytes(data)))


def test_name_without_end():
    data = bytearray(cpio.archive(SAMPLE))
    data[cpio.HEADER_SIZE + len("bin")] = ord("x")
    with pytest.raises(EvidenceError, match="name at offset 0x6e"):
        list(cpio.entries(bytes(data)))


def test_missing_link():
    both = cpio.archive([Entry("a", stat.S_IFREG, b"1234", links=("b",))])
    second = both.index(b"070701", 1)
    third = both.index(b"070701", second + 1)
    with pytest.raises(EvidenceError, match="not all names"):
        list(cpio.entries(both[:second] + both[third:]))


def test_the_hosts_cpio_reads_it():
    listing = subprocess.run(
        ["cpio", "-tv", "--numeric-uid-gid"],
        input=cpio.archive(SAMPLE),
        capture_output=True,
        check=True,
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
    ).stdout.decode()
    lines = [line.split() for line in listing.splitlines()]
    assert [(words[0], words[-1]) for words in lines] == [
        ("drwxr-xr-x", "bin"),
        ("-rwxr-xr-x", "bin/tool"),
        ("-rwxr-xr-x", "bin/t1"),
        ("-rwxr-xr-x", "bin/t2"),
        ("lrwxrwxrwx", "tool"),
        ("crw-------", "console"),
    ]
    assert lines[3][1:5] == ["3", "1", "2", "5"]  # links, uid, gid, size
    assert lines[5][4:6] == ["5,", "1"]
