from __future__ import annotations

import stat
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.errors import HostError, UsageError
from harness.ssh import transfer
from harness.ssh.errors import ConnectionLost, NotInTime, TransferFailed
from tests.support.guests.sshd import SECONDS, prints

DATA = bytes(range(256)) * 4000
LONG_SECONDS = 300.0  # on a busy host
STAT = "stat -f -c %f /"


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    return tmp_path / "guest"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "local"
    path.write_bytes(DATA)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_put_with_its_permissions(serving, connected, guest: Path, local: Path):
    local.chmod(0o755)
    connected(serving()).put(local, "/there", Deadline(SECONDS))
    assert (guest / "there").read_bytes() == DATA
    assert stat.S_IMODE((guest / "there").stat().st_mode) == 0o755
    assert names(guest) == ["there"]


def test_a_file_replaces_another_one(serving, connected, guest: Path, local: Path):
    (guest / "there").write_bytes(b"old")
    connected(serving()).put(local, "/there", Deadline(SECONDS))
    assert (guest / "there").read_bytes() == DATA


def test_a_file_is_gotten(serving, connected, guest: Path, tmp_path: Path):
    (guest / "there").write_bytes(DATA)
    connected(serving()).get("/there", tmp_path / "here", Deadline(SECONDS))
    assert (tmp_path / "here").read_bytes() == DATA


def test_empty_files_are_files(serving, connected, guest: Path, tmp_path: Path):
    connection = connected(serving())
    (tmp_path / "empty").touch()
    connection.put(tmp_path / "empty", "/there", Deadline(SECONDS))
    connection.get("/there", tmp_path / "here", Deadline(SECONDS))
    assert (tmp_path / "here").read_bytes() == b""


def test_a_large_file_goes_both_ways(serving, connected, guest: Path, tmp_path: Path):
    (tmp_path / "large").write_bytes(DATA * 17 + b"end")
    connection = connected(serving())
    connection.put(tmp_path / "large", "/there", Deadline(LONG_SECONDS))
    assert (guest / "there").read_bytes() == DATA * 17 + b"end"
    connection.get("/there", tmp_path / "here", Deadline(LONG_SECONDS))
    assert (tmp_path / "here").read_bytes() == DATA * 17 + b"end"


@pytest.mark.parametrize(
    "count", [1, transfer._PIECE, transfer._PIECE + 1, transfer._READ, transfer._READ + 1]
)
def test_no_byte_is_lost_at_the_end_of_a_piece(
    serving, connected, guest: Path, tmp_path: Path, count: int
):
    (tmp_path / "local").write_bytes(DATA[:count])
    connection = connected(serving())
    connection.put(tmp_path / "local", "/there", Deadline(SECONDS))
    connection.get("/there", tmp_path / "here", Deadline(SECONDS))
    assert (guest / "there").read_bytes() == (tmp_path / "here").read_bytes() == DATA[:count]


def test_many_files_go_over_one_connection(serving, connected, guest: Path, tmp_path: Path):
    connection = connected(serving(commands={"true": prints(b"")}))
    for number in range(20):
        (tmp_path / "a").write_bytes(b"%d" % number)
        connection.put(tmp_path / "a", "/a", Deadline(SECONDS))
        assert connection.run("true", Deadline(SECONDS)).status == 0
        connection.get("/a", tmp_path / "b", Deadline(SECONDS))
        assert (tmp_path / "b").read_bytes() == b"%d" % number


@pytest.mark.parametrize("capacity", [0, 100_000, len(DATA) - 40_000, len(DATA) - 1])
def test_a_full_disk_of_the_guest_leaves_nothing(
    serving, connected, guest: Path, local: Path, capacity: int
):
    (guest / "there").write_bytes(b"old")
    connection = connected(serving(capacity=capacity, commands={STAT: prints(b"0\n")}))
    with pytest.raises(TransferFailed, match="local cannot be put to /there: no space is left"):
        connection.put(local, "/there", Deadline(SECONDS))
    assert names(guest) == ["there"]
    assert (guest / "there").read_bytes() == b"old"
    assert connection.alive


def test_another_failure_is_told_as_the_server_tells_it(
    serving, connected, guest: Path, local: Path
):
    connection = connected(serving(capacity=100_000, commands={STAT: prints(b"17\n")}))
    with pytest.raises(TransferFailed, match="cannot be put to /there: Failure"):
        connection.put(local, "/there", Deadline(SECONDS))
    assert names(guest) == []


def test_a_file_that_is_not_there_is_told_by_its_name(serving, connected, tmp_path: Path):
    with pytest.raises(TransferFailed, match=r"/none cannot be gotten as .*here: No such file"):
        connected(serving()).get("/none", tmp_path / "here", Deadline(SECONDS))
    assert not list(tmp_path.glob("here*"))


def test_a_directory_that_is_not_there_is_told(serving, connected, local: Path):
    with pytest.raises(TransferFailed, match="cannot be put to /none/there: No such file"):
        connected(serving()).put(local, "/none/there", Deadline(SECONDS))


def test_a_directory_is_not_replaced(serving, connected, guest: Path, local: Path):
    (guest / "there").mkdir()
    with pytest.raises(TransferFailed, match="cannot be put to /there"):
        connected(serving()).put(local, "/there", Deadline(SECONDS))
    assert names(guest) == ["there"]


def test_a_server_that_dies_leaves_no_half_of_a_file(
    serving, connected, guest: Path, local: Path, tmp_path: Path
):
    (guest / "there").write_bytes(DATA)
    (tmp_path / "here").write_bytes(b"old")
    with pytest.raises(ConnectionLost, match=r"transfer of .*here"):
        connected(serving(dies_after=200_000)).get("/there", tmp_path / "here", Deadline(SECONDS))
    assert (tmp_path / "here").read_bytes() == b"old"
    assert names(tmp_path) == ["guest", "here", "id", "local"]
    with pytest.raises(ConnectionLost, match=r"transfer of .*local"):
        connected(serving(dies_after=200_000)).put(local, "/new", Deadline(SECONDS))
    assert not (guest / "new").exists()


def test_a_transfer_has_a_deadline(serving, connected, guest: Path, local: Path, tmp_path: Path):
    (guest / "there").write_bytes(DATA)
    connection = connected(serving())
    connection.put(local, "/first", Deadline(SECONDS))
    with pytest.raises(NotInTime, match="cannot be put to /new: it was not done in 0 s"):
        connection.put(local, "/new", Deadline(0.0))
    with pytest.raises(NotInTime, match="/there cannot be gotten"):
        connection.get("/there", tmp_path / "here", Deadline(0.0))
    assert names(guest) == ["first", "there"]
    assert not (tmp_path / "here").exists()


def test_names_of_the_server_choose_no_place_here(serving, connected, guest: Path, tmp_path: Path):
    (guest / "\x1b[31m..").write_bytes(DATA)
    connected(serving()).get("/\x1b[31m..", tmp_path / "here", Deadline(SECONDS))
    assert names(tmp_path) == ["guest", "here", "id"]
    with pytest.raises(TransferFailed, match=r"/\\x1b\[31m cannot"):
        connected(serving()).get("/\x1b[31m", tmp_path / "here", Deadline(SECONDS))


def test_a_local_file_that_is_not_there_is_a_mistake_of_the_user(
    serving, connected, guest: Path, tmp_path: Path
):
    with pytest.raises(UsageError, match="none: No such file"):
        connected(serving()).put(tmp_path / "none", "/there", Deadline(SECONDS))
    assert names(guest) == []


def test_a_place_that_is_not_there_is_a_mistake_of_the_user(
    serving, connected, guest: Path, tmp_path: Path
):
    (guest / "there").write_bytes(DATA)
    with pytest.raises(UsageError, match="none/here: No such file"):
        connected(serving()).get("/there", tmp_path / "none/here", Deadline(SECONDS))


def test_a_full_disk_of_this_host_is_the_hosts_fault(
    serving, connected, guest: Path, tmp_path: Path, monkeypatch
):
    (guest / "there").write_bytes(DATA)
    (tmp_path / f"here{transfer.NEW}").symlink_to("/dev/full")
    with pytest.raises(HostError, match="here: No space left on device"):
        connected(serving()).get("/there", tmp_path / "here", Deadline(SECONDS))
    assert not list(tmp_path.glob("here*"))


def test_a_file_without_a_size_is_gotten_to_its_end(
    serving, connected, guest: Path, tmp_path: Path
):
    (guest / "version").symlink_to("/proc/version")
    connected(serving()).get("/version", tmp_path / "here", Deadline(SECONDS))
    assert (tmp_path / "here").read_text() == Path("/proc/version").read_text()


def test_a_file_without_an_end_is_refused(serving, connected, guest: Path, tmp_path: Path):
    (guest / "zero").symlink_to("/dev/zero")
    with pytest.raises(TransferFailed, match="it tells no size and has over"):
        connected(serving()).get("/zero", tmp_path / "here", Deadline(SECONDS))
    assert not (tmp_path / "here").exists()
