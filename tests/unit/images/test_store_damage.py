"""Damage of the images in the store is found, and told from a fault of the host."""

from __future__ import annotations

import errno
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.cli.commands.stored.images import verify
from harness.errors import EvidenceError, HostError
from harness.images import store as store_module
from harness.images.store import Store
from tests.support.images.stored import Said, a_file, rot, unexpected

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
