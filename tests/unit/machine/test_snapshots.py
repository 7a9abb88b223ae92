"""Crashes in the store: complete or absent, checked, and removed on request."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import EvidenceError, HostError, UsageError
from harness.evidence.snapshot import Snapshot
from harness.files import sparse
from harness.images.store import Store
from harness.machine.snapshots import Snapshots
from harness.progress import NoProgress
from harness.qemu.binary import QemuBinary
from tests.support.command_line.read_only import run_read_only
from tests.support.command_line.zharness import zharness
from tests.support.runs.crashes import make_crash

NAME = "sysrq-c-2cpu-3M-0123456789"
FILES = ["console.log", "cpus.json", "digests.json", "machine.json", "ram.img", "system.img"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())


@pytest.fixture
def kept(store: Store, tmp_path: Path) -> Snapshots:
    """One crash is kept, as NAME; the run that made it still has it."""
    snapshots = Snapshots(store)
    crash = make_crash(tmp_path / "run")
    with snapshots.making(NAME):
        snapshots.keep(crash, NAME)
    return snapshots


def leftovers(store: Store) -> list[Path]:
    return list((store.root / ".building").iterdir())


def rot(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file in place, as a failing disk does."""
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def last_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_a_stored_crash_is_complete_durable_and_shared(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    synced: list[int] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    crash, snapshots = make_crash(tmp_path / "run"), Snapshots(store)
    assert not snapshots.has(NAME)
    snapshots.keep(crash, NAME)
    assert snapshots.has(NAME)
    kept = snapshots.open(NAME)
    assert (kept.name, kept.memory, kept.cpus) == (NAME, crash.memory, crash.cpus)
    assert sorted(path.name for path in kept.directory.iterdir()) == FILES
    for path in kept.directory.iterdir():
        assert path.stat().st_mode & 0o222 == 0
        assert path.samefile(crash.directory / path.name)
        assert path.stat().st_ino in synced, f"{path.name} is not durable"
    places = (kept.directory, kept.directory.parent)
    assert {place.stat().st_ino for place in places} <= set(synced), "the name is not durable"
    assert leftovers(store) == []


@pytest.mark.parametrize("across", [False, True])
def test_a_run_takes_one_of_its_own(
    kept: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, across: bool
):
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    if across:
        monkeypatch.setattr(os, "link", refuse)
    taken = kept.take(kept.open(NAME), tmp_path / "later" / "crash")
    kept.remove(NAME)
    assert taken.directory == tmp_path / "later" / "crash"
    assert sorted(path.name for path in taken.directory.iterdir()) == FILES
    assert taken.ram_image.read_bytes()[3 << 19 :].startswith(b"old memory")
    assert Snapshot.open(taken.directory) == taken
    taken.check_images()


def test_a_crash_that_cannot_be_stored_is_absent(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    crash = make_crash(tmp_path / "run")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match=f"no space left in {store.root}"):
        Snapshots(store).keep(crash, NAME)
    assert Snapshots(store).names() == []
    assert leftovers(store) == []


def test_what_a_killed_process_left_is_swept(store: Store):
    (store.root / ".building" / f"{NAME}-x").mkdir(parents=True)
    store.sweep()
    assert leftovers(store) == []


SMALL = {
    "console lost": ("console.log", lambda _: b"", r"console\.log: 0 bytes; 13 were saved"),
    "console changed": ("console.log", last_byte, r"console\.log: its content is not what was"),
    "registers changed": ("cpus.json", last_byte, r"cpus\.json: its content is not what was"),
    "memory short": ("ram.img", lambda _: b"", r"ram\.img: 0 bytes; 3145728 were saved"),
    "machine torn": ("machine.json", lambda _: b"{", r"machine\.json: not JSON"),
    "machine foreign": ("machine.json", lambda _: b"[]", r"machine\.json: holds no JSON object"),
    "older": ("machine.json", lambda _: b"{}", "format 1, not 2"),
    "digests torn": ("digests.json", lambda _: b"{", r"digests\.json: not JSON"),
    "digests foreign": ("digests.json", lambda _: b"[]", r"digests\.json: holds no JSON object"),
    "digests incomplete": (
        "digests.json",
        lambda _: b"{}",
        r"json: has no digest of ram\.img",
    ),
}


@pytest.mark.parametrize(("name", "change", "what"), SMALL.values(), ids=SMALL)
def test_damage_is_one_line_with_its_remedy(kept: Snapshots, store: Store, name, change, what):
    rot(kept.open(NAME).directory / name, change)
    with pytest.raises(EvidenceError, match=what) as damage:
        kept.get("sysrq")
    assert damage.value.message.startswith(f"the stored crash {NAME} cannot be used: ")
    assert str(damage.value.hint).startswith(
        f"zharness snapshot remove {NAME} --store {store.root} removes it"
    )
    assert kept.has(NAME), "it would be made beside the damaged one"
    kept.remove(NAME)
    assert not kept.has(NAME)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone(kept: Snapshots, name: str):
    (kept.open(NAME).directory / name).unlink()
    with pytest.raises(EvidenceError, match=rf"{name}: No such file"):
        kept.open(NAME)


@pytest.mark.parametrize("name", ["ram.img", "system.img"])
def test_changed_content_of_a_large_file_is_found_by_the_run_that_takes_it(
    kept: Snapshots, tmp_path: Path, name: str
):
    snapshot = kept.open(NAME)
    rot(snapshot.directory / name, last_byte)
    assert kept.open(NAME) == snapshot, "a list of snapshots does not read them all"
    with pytest.raises(EvidenceError, match=f"{name}: its content is not what") as damage:
        kept.take(snapshot, tmp_path / "crash")
    assert NAME in damage.value.message
    assert "snapshot remove" in str(damage.value.hint)


def test_a_damaged_crash_of_a_run_is_not_said_to_be_in_the_store(kept: Snapshots, tmp_path: Path):
    crash = make_crash(tmp_path / "other")
    rot(crash.ram_image, last_byte)
    with pytest.raises(EvidenceError, match=r"^\S*crash/ram.img: its content") as damage:
        kept.take(crash, tmp_path / "crash")
    assert damage.value.hint is None


def test_a_snapshot_removed_meanwhile(kept: Snapshots, tmp_path: Path):
    snapshot = kept.open(NAME)
    kept.remove(NAME)
    with pytest.raises(EvidenceError, match="removed while it was taken"):
        kept.take(snapshot, tmp_path / "crash")


def test_names_are_names_not_patterns(kept: Snapshots, tmp_path: Path):
    with kept.making("sysrq-b"):
        kept.keep(make_crash(tmp_path / "other"), "sysrq-b")
    assert kept.names() == ["sysrq-b", NAME]
    assert kept.get("sysrq-b").name == "sysrq-b"
    assert kept.get("sysrq-c").name == NAME
    for pattern in ("sysrq-?", "*", "[s]ysrq-b", ".", "..", ""):
        with pytest.raises(UsageError, match="no snapshot"):
            kept.find(pattern)
    with pytest.raises(UsageError, match=f"matches several: sysrq-b, {NAME}"):
        kept.find("sysrq")


def is_locked(store: Store) -> bool:
    with (store.root / ".locks" / f"crash-{NAME}").open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_making_and_removing_take_turns(
    kept: Snapshots, store: Store, monkeypatch: pytest.MonkeyPatch
):
    really, seen = store.bury, []

    def bury(path: Path) -> None:
        seen.append(is_locked(store))
        really(path)

    monkeypatch.setattr(store, "bury", bury)
    with kept.making(NAME):
        assert is_locked(store)
    kept.remove(NAME)
    assert seen == [True]
    assert not is_locked(store)


def test_an_error_in_a_crash_is_not_an_error_of_the_store(kept: Snapshots):
    with pytest.raises(OSError, match="No space") as trouble, kept.making("other"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/evidence/ram.img")
    assert trouble.value.filename == "/evidence/ram.img"


READ_ONLY = f"""
import sys
from pathlib import Path
from harness.images.store import Store
from harness.errors import HostError
from harness.machine.snapshots import Snapshots
from harness.progress import NoProgress
from harness.qemu.binary import QemuBinary

kept = Snapshots(Store(Path(sys.argv[1]), NoProgress()))
crash = kept.take(kept.get("sysrq"), Path(sys.argv[2]))
for use in (
    lambda: kept.making("other").__enter__(),
    lambda: kept.keep(crash, "other"),
    lambda: kept.remove({NAME!r}),
):
    try:
        use()
    except HostError as error:
        print(error.message)
"""


def test_a_read_only_store_gives_what_it_has_and_one_line(
    kept: Snapshots, store: Store, tmp_path: Path
):
    arguments = (sys.executable, "-c", READ_ONLY, str(store.root), str(tmp_path / "crash"))
    done = run_read_only(store.root, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith(f"cannot use the image store: {store.root}")
        assert line.endswith("Read-only file system")


def test_the_command_line_lists_and_removes_damaged_ones(kept: Snapshots, store: Store, tmp_path):
    kept.keep(make_crash(tmp_path / "other"), "whole")
    rot(kept.open(NAME).directory / "cpus.json", last_byte)
    listed = zharness("snapshot", "list", "--json", "--store", store.root)
    assert [item["name"] for item in json.loads(listed.stdout)] == ["whole"]
    (line,) = listed.stderr.splitlines()
    assert NAME in line
    assert f"zharness snapshot remove {NAME} --store {store.root}" in line
    for name in ("..", "no", ""):
        refused = zharness("snapshot", "remove", name, "--store", store.root)
        assert (refused.returncode, refused.stderr.count("no snapshot")) == (2, 1)
    assert (
        zharness("snapshot", "remove", NAME, "--store", store.root).stdout == f"{NAME}: removed\n"
    )
    assert kept.names() == ["whole"]
    zharness("snapshot", "remove", "--all", "--store", store.root)
    assert kept.names() == []


def test_digests_are_those_of_the_files(tmp_path: Path):
    crash = make_crash(tmp_path / "run")
    assert sorted([*crash.digests, "digests.json"]) == FILES
    for name, saved in crash.digests.items():
        path = crash.directory / name
        assert saved == {"size": path.stat().st_size, "digest": sparse.digest(path)}
    assert crash.machine["format"] == 2


@pytest.mark.parametrize(
    ("machine", "limits"),
    [
        ({"limits": ["the log was cut"]}, ("crashed system: the log was cut",)),
        ({"limits": 5}, ()),
        ({}, ()),
    ],
)
def test_limits_of_the_systems_output_are_recorded(tmp_path: Path, machine, limits):
    assert make_crash(tmp_path / "crash", **machine).limits == limits


@pytest.fixture
def of_two_qemus(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    """One crash each, of the same machine; runs would use 10.0.13 now."""
    snapshots = Snapshots(store)
    for qemu, digest in (("7.2.22", "0123456789"), ("10.0.13", "abcdef0123")):
        name = f"sysrq-c-2cpu-3M-{digest}"
        with snapshots.making(name):
            snapshots.keep(make_crash(tmp_path / qemu, qemu=qemu), name)
    binary = QemuBinary(tmp_path, (10, 0, 13))
    monkeypatch.setattr("harness.machine.snapshots.find_qemu", lambda: binary)
    return snapshots


def test_a_prefix_means_the_crash_of_the_current_qemu(of_two_qemus: Snapshots):
    assert of_two_qemus.find("sysrq-c") == "sysrq-c-2cpu-3M-abcdef0123"
    assert of_two_qemus.get("sysrq-c-2cpu").qemu == "10.0.13"
    with pytest.raises(UsageError, match="matches several"):  # nothing is removed on a guess
        of_two_qemus.find("sysrq-c", strictly=True)


def test_a_prefix_of_different_machines_is_refused(of_two_qemus: Snapshots, tmp_path: Path):
    with of_two_qemus.making("sysrq-c-8cpu-3M-77"):
        of_two_qemus.keep(make_crash(tmp_path / "other", qemu="10.0.13"), "sysrq-c-8cpu-3M-77")
    with pytest.raises(UsageError, match="matches several"):
        of_two_qemus.find("sysrq-c")


def test_the_list_shows_the_qemu(of_two_qemus: Snapshots, store: Store):
    done = zharness("snapshot", "list", "--store", store.root)
    assert "QEMU" in done.stdout.splitlines()[0]
    assert "7.2.22" in done.stdout
    listed = json.loads(zharness("snapshot", "list", "--json", "--store", store.root).stdout)
    assert {each["qemu"] for each in listed} == {"7.2.22", "10.0.13"}
