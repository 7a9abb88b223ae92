"""Evidence from another host: complete, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harness.cluster import carry
from harness.cluster.fetch import Fetch
from harness.cluster.order import Piece, Remote
from harness.errors import EvidenceError
from harness.files import sparse

MIB = 1 << 20


class Host:
    """Has files in ``root``, and counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "work" / carry.EVIDENCE
        self.root.mkdir(parents=True)
        self.asked: list[str] = []

    def write(self, name: str, content: bytes, at: int = 0, size: int | None = None) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size or at + len(content))
            os.pwrite(file.fileno(), content, at)

    def files(self) -> tuple[Remote, ...]:
        return tuple(carry.files_of(self.root))

    def piece(self, name: str, offset: int) -> Piece:
        self.asked.append(name)
        return carry.read_piece(self.root / name, offset)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_files_arrive_with_their_holes(host, tmp_path):
    host.write("verdict.json", b"{}")
    host.write("crash/ram.img", b"x" * 5000, at=3 * MIB, size=64 * MIB)
    host.write("empty", b"")
    Fetch().bring(host.files(), tmp_path / "out", host.piece)
    got = tmp_path / "out"
    assert (got / "verdict.json").read_bytes() == b"{}"
    assert (got / "empty").read_bytes() == b""
    ram = got / "crash/ram.img"
    assert sparse.digest(ram) == sparse.digest(host.root / "crash/ram.img")
    assert ram.stat().st_size == 64 * MIB
    assert ram.stat().st_blocks * 512 < MIB


def test_a_large_file_arrives_in_pieces(host, tmp_path, monkeypatch):
    monkeypatch.setattr(carry, "PIECE", 10_000)
    host.write("dump", os.urandom(100_001))
    Fetch().bring(host.files(), tmp_path / "out", host.piece)
    assert (tmp_path / "out/dump").read_bytes() == (host.root / "dump").read_bytes()
    assert len(host.asked) == 11


@given(
    parts=st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=9000))),
    piece=st.integers(4096, 1 << 16),
)
def test_any_content_arrives(tmp_path_factory, parts, piece):
    host = Host(tmp_path_factory.mktemp("host"))
    content = bytearray(max((at + len(data) for at, data in parts), default=0))
    with (host.root / "dump").open("wb") as file:
        for at, data in parts:
            os.pwrite(file.fileno(), data, at)
            content[at : at + len(data)] = data
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(carry, "PIECE", piece)
        out = tmp_path_factory.mktemp("out") / "run"
        Fetch().bring(host.files(), out, host.piece)
    assert (out / "dump").read_bytes() == content


def test_what_several_runs_have_comes_once(host, tmp_path):
    host.write("ram.img", b"x" * carry.LARGE)
    fetch = Fetch()
    for name in ("one", "other"):
        fetch.bring(host.files(), tmp_path / name, host.piece)
    assert host.asked == ["ram.img"]
    assert (tmp_path / "other/ram.img").samefile(tmp_path / "one/ram.img")


def test_what_was_there_and_is_removed_comes_again(host, tmp_path):
    host.write("ram.img", b"x" * carry.LARGE)
    fetch = Fetch()
    fetch.bring(host.files(), tmp_path / "one", host.piece)
    (tmp_path / "one/ram.img").unlink()
    fetch.bring(host.files(), tmp_path / "other", host.piece)
    assert (tmp_path / "other/ram.img").stat().st_size == carry.LARGE


def test_links_are_not_followed(host, tmp_path):
    (tmp_path / "secret").write_text("x")
    (host.root / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(host.root / "fifo")
    host.write("a", b"x")
    assert [file.name for file in host.files()] == ["a"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ""])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    def piece(name: str, offset: int) -> Piece:
        return Piece(((0, zstandard.compress(b"x")),), None)

    with pytest.raises(EvidenceError, match="names a file elsewhere"):
        Fetch().bring([Remote(name, 1, None)], tmp_path / "deep/out", piece)
    assert not list(tmp_path.rglob("*x*"))


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (Piece(((9, zstandard.compress(b"xx")),), None), "behind its end"),
        (Piece(((-1, zstandard.compress(b"x")),), None), "behind its end"),
        (Piece((), 0), "not in order"),
        (Piece(((0, b"no zstd"),), None), "damaged"),
        (Piece((), None), "changed on its way"),
    ],
)
def test_what_is_not_as_it_was_told_leaves_nothing(tmp_path, part, what):
    with pytest.raises(EvidenceError, match=what):
        Fetch().bring([Remote("x", 10, "0" * 64)], tmp_path / "out", lambda name, offset: part)
    assert list(tmp_path.iterdir()) == []


def test_what_is_wanted_no_more_leaves_nothing(host, tmp_path):
    host.write("a", b"x")
    Fetch().bring(host.files(), tmp_path / "out", host.piece, lambda: False)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_what_other_runs_may_share_is_not_written_to(host, tmp_path):
    host.write("ram.img", b"x" * carry.LARGE)
    Fetch().bring(host.files(), tmp_path / "out", host.piece)
    assert (tmp_path / "out/ram.img").stat().st_mode & 0o222 == 0


def test_too_many_files_are_refused(tmp_path):
    with pytest.raises(EvidenceError, match="too many"):
        Fetch().bring([Remote(str(n), 0, None) for n in range(20_000)], tmp_path / "out", None)
