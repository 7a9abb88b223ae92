from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.images.debian.packages import ROOT
from harness.images.initramfs import build as initramfs
from harness.images.initramfs import cpio
from harness.images.initramfs.build import IMAGE, compress
from harness.images.store import Built, Store
from harness.progress import NoProgress


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose s390x packages hold /tool only."""
    store = Store(tmp_path / "store", NoProgress())

    def build(directory: Path, log: Path) -> dict[str, Any]:
        (directory / ROOT).mkdir()
        (directory / ROOT / "tool").write_bytes(b"s390x code")
        return {"packages": [{"name": "tool", "version": "1", "sha256": "0"}]}

    packages = store.get("packages", {}, build)
    monkeypatch.setattr(initramfs, "unpacked", lambda *_: packages)
    return store


def made(store: Store, *lists: Path) -> Built:
    return initramfs.initramfs(store, NoProgress(), "initramfs-test", [str(p) for p in lists])


def content(image: Built) -> dict[str, bytes]:
    archive = gzip.decompress((image.path / IMAGE).read_bytes())
    return {entry.name: entry.data for entry in cpio.entries(archive)}


@given(st.binary(max_size=2000))
def test_compressed_is_reproducible_and_can_be_followed(archive: bytes):
    packed = compress(archive)
    assert packed == compress(archive)
    assert len(packed) % 4 == 0
    assert packed[4:8] == bytes(4)  # no time
    assert gzip.decompress(packed) == archive


def test_from_list_and_packages(store: Store, tmp_path: Path):
    path = tmp_path / "a.list"
    path.write_text("dir /bin 0755 0 0\nfile /bin/tool ${ROOT}/tool 0755 0 0\n")
    image = made(store, path)
    assert content(image) == {"bin": b"", "bin/tool": b"s390x code"}
    assert image.manifest["packages"][0]["name"] == "tool"
    assert image.manifest["lists"] == [str(path)]
    assert image.manifest["unpacked size"] == len(
        gzip.decompress((image.path / IMAGE).read_bytes())
    )
    assert "100755       10 bin/tool" in (image.path / "build.log").read_text()


def test_key_follows_the_content_not_the_list(store: Store, tmp_path: Path):
    source, path = tmp_path / "source", tmp_path / "a.list"
    source.write_bytes(b"1")
    path.write_text(f"file /a {source} 0644 0 0\n")
    first = made(store, path)
    path.write_text(f"# a remark\nfile /a {source} 0644 0 0\n")
    assert made(store, path).key == first.key
    source.write_bytes(b"2")
    assert made(store, path).key != first.key


def test_same_bytes_after_a_new_build(store: Store, tmp_path: Path):
    path = tmp_path / "a.list"
    path.write_text("file /tool ${ROOT}/tool 0755 0 0\n")
    first = made(store, path)
    data = (first.path / IMAGE).read_bytes()
    store.remove(first)
    assert (made(store, path).path / IMAGE).read_bytes() == data


def test_further_list_comes_last(store: Store, tmp_path: Path):
    (tmp_path / "own").write_bytes(b"my own")
    (tmp_path / "1.list").write_text("file /tool ${ROOT}/tool 0755 0 0\n")
    (tmp_path / "2.list").write_text(f"file /tool {tmp_path}/own 0755 0 0\n")
    # the kernel unpacks in this order, so the last one stays
    assert content(made(store, tmp_path / "1.list", tmp_path / "2.list"))["tool"] == b"my own"


def test_missing_file_names_list_and_line(store: Store, tmp_path: Path):
    path = tmp_path / "a.list"
    path.write_text("\nfile /a ${ROOT}/absent 0644 0 0\n")
    with pytest.raises(UsageError, match=r"a\.list:2: location .*absent: No such file"):
        made(store, path)
    assert store.find("initramfs") == []
