from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BuildError, HostError, ZiplRefused
from harness.images import store as store_module
from harness.images.store import Built, Store
from harness.progress import NoProgress
from tests.support.command_line.read_only import run_read_only
from tests.support.images.stored import Said, a_file, rot, unexpected


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / ".building").iterdir())


def test_an_image_is_built_once_and_read_only(store: Store) -> None:
    built = store.get("thing", {"source": "a"}, a_file)
    assert store.get("thing", {"source": "a"}, unexpected) == built
    assert built.path == store.root / built.name
    assert built.manifest["inputs"] == {"source": "a"}
    assert built.manifest["compiler"] == "cc 1"
    assert built.manifest["files"]["image"]["size"] == 7
    assert (built.path / "build.log").read_text() == "built\n"
    assert [path.stat().st_mode & 0o222 for path in built.path.iterdir()] == [0, 0, 0]
    assert leftovers(store) == []


def test_other_inputs_or_kinds_make_other_images(store: Store) -> None:
    images = [
        store.get(kind, {"source": source}, a_file)
        for kind, source in (("thing", "a"), ("thing", "b"), ("other-thing", "a"))
    ]
    assert store.images() == sorted(images, key=lambda image: image.name)
    assert store.find("thing") == sorted(images[:2], key=lambda image: image.name)
    assert images[2].kind == "other-thing"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, min_size=1), st.randoms())
def test_the_key_follows_content_not_order(inputs: dict[str, Any], random: Any) -> None:
    shuffled = list(inputs.items())
    random.shuffle(shuffled)
    key = store_module._key("kind", inputs)
    assert len(key) == 20
    assert store_module._key("kind", dict(shuffled)) == key
    assert store_module._key("kind", {**inputs, "one more": 1, "and": 2}) != key
    assert store_module._key("other", inputs) != key


def test_nested_files_count_and_source_trees_do_not(store: Store) -> None:
    def build(directory: Path, log: Path) -> dict[str, Any]:
        for name in ("root/bin/tool", "tree/kernel/panic.c"):
            (directory / name).parent.mkdir(parents=True)
            (directory / name).write_text(name)
        (directory / "root" / "bin" / "tool").chmod(0o755)
        (directory / "root" / "link").symlink_to("nowhere")
        return {}

    image = store.get("thing", {}, build)
    assert list(image.manifest["files"]) == ["root/bin/tool"]
    assert (image.path / "root/bin/tool").stat().st_mode & 0o777 == 0o555
    rot(image, "root/bin/tool", b"")
    assert store.images() == []


def test_an_interrupted_build_leaves_nothing(store: Store) -> None:
    def interrupted(directory: Path, log: Path) -> dict[str, Any]:
        a_file(directory, log)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("thing", {}, interrupted)
    assert store.images() == []
    assert leftovers(store) == []
    assert store.get("thing", {}, a_file) in store.images()


def test_a_failed_build_keeps_its_log(store: Store) -> None:
    def failing(directory: Path, log: Path) -> dict[str, Any]:
        log.write_text("all of it\n")
        raise BuildError("cannot build thing: cc: no")

    with pytest.raises(BuildError, match="cannot build thing: cc: no") as failure:
        store.get("thing", {}, failing)
    assert failure.value.hint is not None
    log = Path(failure.value.hint.removeprefix("see "))
    assert log.read_text() == "all of it\n"
    assert leftovers(store) == []
    store.get("thing", {}, a_file)
    assert not log.exists()


def test_a_failed_build_keeps_the_kind_of_its_error(store: Store) -> None:
    def refusing(directory: Path, log: Path) -> dict[str, Any]:
        raise ZiplRefused("no")

    with pytest.raises(ZiplRefused):
        store.get("thing", {}, refusing)


def test_a_hint_of_the_builder_is_kept(store: Store) -> None:
    def failing(directory: Path, log: Path) -> dict[str, Any]:
        raise BuildError("no", hint="do this")

    with pytest.raises(BuildError) as failure:
        store.get("thing", {}, failing)
    assert failure.value.hint == "do this"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        BuildError("cc: error: closing a.o: No space left on device"),
    ],
)
def test_a_full_disk_is_the_hosts_fault(store: Store, error: Exception) -> None:
    def full(directory: Path, log: Path) -> dict[str, Any]:
        raise error

    with pytest.raises(HostError, match=r"no space left in .* for thing-"):
        store.get("thing", {}, full)
    assert leftovers(store) == []


def test_other_errors_of_a_builder_are_not_hidden(store: Store) -> None:
    def broken(directory: Path, log: Path) -> dict[str, Any]:
        (directory / "missing").read_bytes()
        return {}

    with pytest.raises(FileNotFoundError):
        store.get("thing", {}, broken)


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(HostError, match="cannot use the image store"):
        Store(tmp_path / "store", NoProgress()).get("thing", {}, a_file)


READ_ONLY = """
import sys
from pathlib import Path
from harness.images.store import Store
from harness.errors import HostError
from harness.progress import NoProgress

store = Store(Path(sys.argv[1]), NoProgress())
for image in store.images():
    assert store.get("thing", {}, lambda *_: sys.exit("built again")) == image
for use in (
    lambda: store.get("other", {}, lambda *_: {}),
    lambda: store.workplace("other").__enter__(),
    lambda: store.bury(store.root / "other"),
    lambda: store.sweep(),
):
    try:
        use()
    except HostError as error:
        print(error.message)
"""


@pytest.mark.parametrize("below", ["", "deep/store"])
def test_a_read_only_store_gives_one_line_and_what_it_has(tmp_path: Path, below: str) -> None:
    Store(tmp_path, NoProgress()).get("thing", {}, a_file)
    done = run_read_only(tmp_path, sys.executable, "-c", READ_ONLY, str(tmp_path / below))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line.startswith(f"cannot use the image store: {tmp_path}")
        assert line.endswith(": Read-only file system")


def test_a_store_that_no_file_system_takes(tmp_path: Path) -> None:
    store = Store(tmp_path / ("x" * 300), NoProgress())
    for use in (store.images, lambda: store.get("thing", {}, a_file), store.sweep):
        with pytest.raises(HostError, match=r"cannot use the image store: .* name too long"):
            use()


def hold_a_build(root: Path, building: Connection, proceed: Connection) -> None:
    def slowly(directory: Path, log: Path) -> dict[str, Any]:
        building.send("building")
        proceed.poll(20)
        return a_file(directory, log)

    Store(root, NoProgress()).get("thing", {}, slowly)


@contextmanager
def builder(store: Store) -> Iterator[tuple[Any, Connection]]:
    """Another process in the middle of a build, and what to send to for it to go on."""
    context = multiprocessing.get_context("fork")
    building, said = context.Pipe(duplex=False)
    heard, proceed = context.Pipe(duplex=False)
    process = context.Process(target=hold_a_build, args=(store.root, said, heard))
    process.start()
    try:
        assert building.poll(20)
        yield process, proceed
    finally:
        process.kill()
        process.join(20)
        process.close()
        for end in (building, said, heard, proceed):
            end.close()


def test_a_second_builder_waits_and_says_for_whom(store: Store, said: Said) -> None:
    with builder(store) as (process, proceed):
        got: list[Built] = []
        waiter = threading.Thread(
            target=lambda: got.append(store.get("thing", {}, unexpected)), daemon=True
        )
        waiter.start()
        assert said.spoken.wait(20)
        assert said.lines == [f"wait for process {process.pid}, which is at {_name()}"]
        assert got == []
        proceed.send("go on")
        waiter.join(20)
        assert got == store.images() != []


def test_what_a_killed_builder_left_is_swept(store: Store) -> None:
    with builder(store) as (process, _):
        (left,) = leftovers(store)
        store.sweep()
        assert leftovers(store) == [left], "its builder lives"
        process.kill()
        process.join(20)
        store.sweep()
        assert leftovers(store) == []
    assert store.get("thing", {}, a_file).name == _name()


def test_a_builder_may_end_while_another_sweeps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are listed, the first is removed, the second's builder ends: no trouble."""
    for name in ("one", "two"):
        (store.root / ".building" / name).mkdir(parents=True)
    really = shutil.rmtree

    def remove_both(path: Path, **options: Any) -> None:
        for each in path.parent.iterdir():
            really(each, **options)

    monkeypatch.setattr(shutil, "rmtree", remove_both)
    store.sweep()
    assert leftovers(store) == []


def _name() -> str:
    return f"thing-{store_module._key('thing', {})}"


def test_removed_images_are_gone_and_others_stay(store: Store) -> None:
    one, two = (store.get("thing", {"n": n}, a_file) for n in (1, 2))
    store.remove(one)
    assert store.images() == [two]
    assert leftovers(store) == []


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.images() == []
    assert not store.root.exists(), "looking does not create it"


def test_a_lock_names_its_holder(store: Store) -> None:
    def look(directory: Path, log: Path) -> dict[str, Any]:
        lock = store.root / ".locks" / _name()
        assert lock.read_text() == str(os.getpid())
        with lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return {}

    image = store.get("thing", {}, look)
    assert json.loads((image.path / "manifest.json").read_text())["name"] == image.name
