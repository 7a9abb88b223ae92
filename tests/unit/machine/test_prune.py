"""What was not used for long goes; what a process uses never does."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import app
from harness.images.last_use import LastUse
from harness.images.store import Built, Store
from harness.machine.prune import choose, remove
from harness.machine.snapshots import Snapshots
from harness.progress import NoProgress
from tests.support.runs.crashes import make_crash

DAY = 86400
NOW = time.time() + 100 * DAY  # nothing in the tests is older than that


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())


def another(store: Store) -> Store:
    """As a process has it that uses nothing yet."""
    return Store(store.root, NoProgress())


def build(store: Store, number: int) -> Built:
    def build_it(directory: Path, log: Path) -> Mapping[str, Any]:
        (directory / "file").write_bytes(os.urandom(100_000))
        return {}

    return store.get("kernel", {"number": number}, build_it)


def used(store: Store, name: str, days_ago: float) -> None:
    """As if it was used then."""
    then = NOW - days_ago * DAY
    places = (store.root / name, store.root / "snapshots" / name.removeprefix("crash-"))
    path = next(path for path in places if path.exists())
    for each in (path, store.root / ".used" / name):
        if each.exists():
            os.utime(each, (then, then))


def names(choices: list, *, go: bool) -> list[str]:
    return [each.item.name for each in choices if each.goes is go]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def three_images(store: Store) -> list[str]:
    found = []
    for number, days_ago in enumerate((50, 20, 5)):
        maker = another(store)
        found.append(build(maker, number).name)
        del maker
        used(store, found[-1], days_ago)
    return found


def test_what_was_not_used_for_long_goes(store):
    old, middle, young = three_images(store)
    choices = choose(store, NOW, days=30)
    assert [each.item.name for each in choices] == [old, middle, young], "longest ago first"
    assert names(choices, go=True) == [old]
    assert choices[0].why == "not used for 50 days"
    assert choices[1].why == "used 20 days ago"
    assert choices[0].item.size >= 100_000
    assert [image.name for image in store.images()] == sorted((old, middle, young))
    assert remove(store, choices) == choices[0].item.size
    assert [image.name for image in store.images()] == sorted((middle, young))


def test_more_goes_until_the_rest_is_small_enough(store):
    old, middle, _ = three_images(store)
    size = choose(store, NOW, days=1000)[0].item.size
    found = {
        limit: names(choose(store, NOW, days=1000, size=limit * size + 4096), go=True)
        for limit in (3, 2, 1)
    }
    assert found == {3: [], 2: [old], 1: [old, middle]}
    choices = choose(store, NOW, days=30, size=0)
    assert [each.why for each in choices] == [
        "not used for 50 days",
        *["all is more than 0 GB"] * 2,
    ]


def test_to_take_an_image_again_is_a_use(store):
    old, *_ = three_images(store)
    user = another(store)
    assert build(user, 0).name == old
    del user
    assert LastUse(store.root / ".used").at(old) == pytest.approx(time.time(), abs=60)
    used(store, old, 50)
    user = another(store)
    user.require_whole(next(image for image in user.images() if image.name == old))
    del user
    assert LastUse(store.root / ".used").at(old) == pytest.approx(time.time(), abs=60)


def test_what_a_process_uses_stays(store):
    old, *_ = three_images(store)
    user = another(store)
    build(user, 0)
    used(store, old, 50)
    first = next(each for each in choose(store, NOW, days=30, size=0) if each.item.name == old)
    assert (first.goes, first.why) == (False, "a process uses it")
    del user
    assert old in names(choose(store, NOW, days=30), go=True)


def test_what_a_process_begins_to_use_is_not_removed(store):
    old, *_ = three_images(store)
    choices = choose(store, NOW, days=30)
    user = another(store)
    build(user, 0)
    assert remove(store, choices) == 0
    assert (store.root / old).is_dir()
    del user


def test_only_so_many_files_stay_open(store):
    last = LastUse(store.root)
    store.root.mkdir()
    before = open_files()
    for number in range(200):
        last.note(str(number))
    assert open_files() - before <= 64
    assert [name for name in map(str, range(200)) if last.in_use(name)] == [
        str(number) for number in range(136, 200)
    ]


def test_stored_crashes_go_too_and_evidence_keeps_its_files(store, tmp_path):
    crash = make_crash(tmp_path / "run/crash")
    store.root.mkdir()
    snapshots = Snapshots(store)
    with snapshots.making("one"):
        snapshots.keep(crash, "one")
    used(store, "crash-one", 50)
    (choice,) = choose(store, NOW, days=30)
    assert (choice.item.name, choice.item.is_crash, choice.goes) == ("one", True, True)
    user = Snapshots(another(store))
    user.take(user.open("one"), tmp_path / "taken")
    (choice,) = choose(store, NOW, days=1000, size=0)
    assert choice.why == "a process uses it"
    del user
    used(store, "crash-one", 50)
    remove(store, choose(store, NOW, days=30))
    assert snapshots.names() == []
    assert (tmp_path / "run/crash/ram.img").exists()
    assert (tmp_path / "taken/ram.img").exists()


def test_a_store_of_an_older_harness_has_no_notes(store):
    old, *_ = three_images(store)
    for path in (store.root / ".used").iterdir():
        path.unlink()
    assert names(choose(store, NOW, days=30), go=True) == [old]
    assert not list((store.root / ".used").iterdir()), "to look changes nothing"


def test_the_command_says_what_and_why(store, capsys):
    old, *_ = three_images(store)
    then = time.time() - 40 * DAY
    for path in (store.root / old, store.root / ".used" / old):
        os.utime(path, (then, then))
    command = ["prune", "--store", str(store.root)]
    app([*command, "--dry-run"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "not used for 40 days" in said
    assert "would free 0.1 MB" in said
    assert (store.root / old).is_dir()
    app(command, standalone_mode=False)
    assert "freed 0.1 MB" in capsys.readouterr().out
    assert not (store.root / old).exists()


def test_a_store_that_is_not_there(store, capsys):
    assert choose(store, NOW, days=0) == []
    assert not store.root.exists()
