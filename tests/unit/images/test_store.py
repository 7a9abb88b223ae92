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
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.commands.stored.images import verify
from harness.errors import BuildError, EvidenceError, HostError, ZiplRefused
from harness.images import store as store_module
from harness.images.store import Built, Store
from harness.progress import NoProgress, Task
from tests.support.command_line.read_only import run_read_only


class Said:
    """A progress that records its calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.spoken = threading.Event()

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.lines.append(what)
        self.spoken.set()
        with NoProgress().task(what, total, unit) as task:
            yield task


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def store(tmp_path: Path, said: Said) -> Store:
    return Store(tmp_path / "store", said)


def a_file(directory: Path, log: Path) -> dict[str, Any]:
    (directory / "image").write_bytes(b"content")
    log.write_text("built\n")
    return {"compiler": "cc 1"}


def unexpected(directory: Path, log: Path) -> dict[str, Any]:
    raise AssertionError("the image is there: nothing to build")


def rot(image: Built, name: str, content: bytes) -> None:
    path = image.path / name
    path.chmod(0o644)
    path.write_bytes(content)


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


MANIFESTS = {
    "torn": b"{",
    "foreign": b"[]",
    "elsewhere": b'{"files": {"../../etc/hosts": {"size": 0, "sha256": ""}}}',
    "no digest": b'{"files": {"image": {"size": 7}}}',
    "two digests": b'{"files": {"image": {"size": 7, "sha256": "0", "content": "0"}}}',
    "nested": b'{"files": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda image: rot(image, "image", b"short"), id="truncated"),
        pytest.param(lambda image: (image.path / "image").unlink(), id="file gone"),
        *(partial(rot, name="manifest.json", content=each) for each in MANIFESTS.values()),
        pytest.param(lambda image: (image.path / "manifest.json").unlink(), id="manifest gone"),
    ],
)
def test_a_damaged_image_is_reported_and_built_again(store: Store, said: Said, damage: Any) -> None:
    image = store.get("thing", {}, a_file)
    damage(image)
    assert store.images() == []
    again = store.get("thing", {}, a_file)
    assert (again.path / "image").read_bytes() == b"content"
    assert len(said.lines) == 1
    assert f"{image.name} is damaged" in said.lines[0]
    assert store.images() == [again]


def test_holes_take_no_time_and_a_byte_in_one_is_found(store: Store) -> None:
    """To hash 8 TiB of holes as data would take hours."""

    def a_sparse_file(directory: Path, log: Path) -> dict[str, Any]:
        log.touch()
        with (directory / "disk.img").open("xb") as disk:
            disk.write(b"boot")
            disk.truncate(8 << 40)
        return {}

    image = store.get("thing", {}, a_sparse_file)
    assert set(image.manifest["files"]["disk.img"]) == {"size", "content"}
    assert not list(store.damaged(image))
    disk = image.path / "disk.img"
    disk.chmod(0o644)
    with disk.open("r+b") as file:
        file.seek(5 << 40)
        file.write(b"x")
    assert list(store.damaged(image)) == [disk]


@pytest.mark.parametrize("refused", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_an_image_that_the_host_cannot_read_is_not_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    image = store.get("thing", {}, a_file)
    os.utime(image.path / "image")  # so that its content is read again

    def refuse(path: Path) -> str:
        raise OSError(refused, os.strerror(refused), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "sha256", refuse)
        with pytest.raises((OSError, HostError)):
            store.get("thing", {}, unexpected)
    assert store.get("thing", {}, unexpected) == image


def test_a_manifest_that_the_host_cannot_read_is_no_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.get("thing", {}, a_file)

    def refuse(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            store.get("thing", {}, unexpected)
    assert store.get("thing", {}, unexpected) == image


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda image: rot(image, "image", b"short"), id="truncated"),
        pytest.param(lambda image: rot(image, "image", b"CONTENT"), id="other content"),
        pytest.param(lambda image: (image.path / "image").unlink(), id="file gone"),
        pytest.param(lambda image: rot(image, "manifest.json", b"{"), id="manifest torn"),
    ],
)
@pytest.mark.parametrize("named", [(), ("thing",)])
def test_images_verify_says_so_of_every_damage(
    store: Store, damage: Any, named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    image = store.get("thing", {}, a_file)
    damage(image)
    with pytest.raises(EvidenceError, match="not as built") as raised:
        verify(list(named), store.root, json=True)
    assert image.name in str(raised.value)
    (said,) = json.loads(capsys.readouterr().out).items()
    assert said[0] == image.name
    assert said[1]


def test_same_size_damage_is_found_by_verify(store: Store) -> None:
    image = store.get("thing", {}, a_file)
    store.verify(image)
    rot(image, "image", b"CONTENT")
    with pytest.raises(EvidenceError, match="image is not what was built"):
        store.verify(image)


def flip(path: Path) -> None:
    """One bit of a read-only file, its size as it was."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(mode)


def test_one_flipped_bit_is_noticed_when_the_image_is_taken(store: Store, said: Said) -> None:
    image = store.get("thing", {"a": 1}, a_file)
    flip(image.path / "image")
    again = store.get("thing", {"a": 1}, a_file)
    assert any("content of image): building it again" in what for what in said.lines)
    store.verify(again)
    flip(again.path / "image")
    with pytest.raises(EvidenceError, match=r"is damaged \(content of image\)"):
        store.require_whole(again)


def test_content_is_read_once_for_each_change(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.get("thing", {"a": 1}, a_file)
    read = []
    real = store_module.sha256
    monkeypatch.setattr(store_module, "sha256", lambda path: read.append(path) or real(path))
    for _ in range(3):
        store.get("thing", {"a": 1}, unexpected)
        store.require_whole(image)
    assert read == []
    os.utime(image.path / "image")
    for _ in range(3):
        store.get("thing", {"a": 1}, unexpected)
    assert read == [image.path / "image"]


def test_a_remembered_check_counts_only_for_its_image(store: Store) -> None:
    first, second = (store.get("thing", {"a": number}, a_file) for number in (1, 2))
    flip(second.path / "image")
    remembered = store.root / ".verified"
    (remembered / second.name).write_bytes((remembered / first.name).read_bytes())
    with pytest.raises(EvidenceError, match="is damaged"):
        store.require_whole(second)


def test_verify_names_a_file_that_is_gone(store: Store) -> None:
    image = store.get("thing", {}, a_file)
    (image.path / "image").unlink()
    with pytest.raises(EvidenceError, match="image is not what was built"):
        store.verify(image)


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
