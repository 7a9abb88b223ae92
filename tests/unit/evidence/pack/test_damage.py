"""Damage of any kind to a packed run is one clear error, and leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from harness.errors import EvidenceError, HarnessError, HostError
from harness.evidence.pack.pack import pack
from harness.evidence.pack.store import PageStore
from harness.evidence.pack.use import restored
from tests.unit.evidence.pack.made import QUIET, damage, noise, packs


def _no_pack(run: Path, store: PageStore) -> str:
    packs(store)[0].unlink()
    return "is missing, and the run needs it"


def _damaged_pack(run: Path, store: PageStore) -> str:
    damage(packs(store)[0], 5000)
    return "is damaged"


def _short_pack(run: Path, store: PageStore) -> str:
    packs(store)[0].write_bytes(packs(store)[0].read_bytes()[:-1000])
    return "is damaged"


def _other_pack(run: Path, store: PageStore) -> str:
    packs(store)[0].write_bytes(zstandard.compress(noise(77)))
    return "its content is not that of its name"


def _bomb(run: Path, store: PageStore) -> str:
    # a frame that tells 2^60 bytes: RFC 8878, 3.1.1.1
    frame = b"\x28\xb5\x2f\xfd" + b"\xe0" + (1 << 60).to_bytes(8, "little") + b"\1\0\0"
    packs(store)[0].write_bytes(frame)
    return "its size is not told, or more than"


def _no_store(run: Path, store: PageStore) -> str:
    shutil.rmtree(store.root)
    return "page store"


def _no_json(run: Path, store: PageStore) -> str:
    (run / "packed.json").write_text("{")
    return "not JSON"


def _with(run: Path, change: Callable[[dict], object]) -> None:
    document = json.loads((run / "packed.json").read_text())
    change(document)
    (run / "packed.json").write_text(json.dumps(document))


def _other_digest(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"]["crash/ram.img"].update(digest="0" * 64))
    return "the pages are not those of the file"


def _other_size(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"]["crash/ram.img"].update(size=5000))
    return "behind the end of the file"


def _huge(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"]["crash/ram.img"].update(size=1 << 62))
    return "size"


def _other_version(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it.update(version=2))
    return "version"


def _elsewhere(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"].update({"../../../evil": it["files"]["crash/ram.img"]}))
    return "is no file that is packed"


def _text_file(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"].update({"verdict.json": it["files"]["crash/ram.img"]}))
    return "is no file that is packed"


def _pack_elsewhere(run: Path, store: PageStore) -> str:
    _with(run, lambda it: it["files"]["crash/ram.img"].update(packs=["../../../secret"]))
    return "packs"


def _runs(text: str) -> Callable[[Path, PageStore], str]:
    def change(run: Path, store: PageStore) -> str:
        _with(run, lambda it: it["files"]["crash/ram.img"].update(runs=text))
        return r"crash/ram\.img"

    return change


def _encoded(data: bytes) -> str:
    return base64.b64encode(zstandard.compress(data)).decode()


def _linked(run: Path, store: PageStore) -> str:
    outside = store.root.parent / "outside"
    (run / "crash").rename(outside)
    (run / "crash").symlink_to(outside)
    return "not a directory of its own"


def _no_folder(run: Path, store: PageStore) -> str:
    (run / "crash").rmdir()
    return "cannot restore"


def _another_file(run: Path, store: PageStore) -> str:
    (run / "crash/ram.img").write_bytes(b"x")
    return "is not the file that was packed"


def _a_fifo(run: Path, store: PageStore) -> str:
    os.mkfifo(run / "crash/ram.img")
    return "is a FIFO"


def _in_the_way(run: Path, store: PageStore) -> str:
    (run / "crash/ram.img.unpacking").mkdir()
    return "cannot restore"


def _file(run: Path, store: PageStore) -> str:
    (store.root / "packs").rename(store.root / "were")
    (store.root / "packs").mkdir()
    os.mkfifo(store.root / "packs" / packs_name(store))
    return "is a FIFO"


def packs_name(store: PageStore) -> str:
    return next((store.root / "were").iterdir()).name


@pytest.mark.parametrize(
    "damaged",
    [
        *(_no_pack, _damaged_pack, _short_pack, _other_pack, _bomb, _no_store, _no_json),
        *(_other_digest, _other_size, _huge, _other_version, _elsewhere, _text_file),
        *(_pack_elsewhere, _linked, _no_folder, _another_file, _a_fifo, _in_the_way, _file),
        *(_runs("no base64!"), _runs("AAAA"), _runs(_encoded(b"abc"))),
        _runs(_encoded(b"\1" * 16)),
        _runs(_encoded(bytes(1 << 28))),
    ],
)
def test_damage_is_one_clear_error_and_leaves_nothing(run, store, damaged):
    pack(run, store, QUIET)
    said = damaged(run, store)
    before = sorted(run.parents[3].rglob("*"))
    with pytest.raises(HarnessError, match=said) as caught, restored(run):
        pass
    assert isinstance(caught.value, (EvidenceError, HostError))
    assert "\n" not in caught.value.message
    assert str(store.root.parent) in caught.value.message
    assert sorted(run.parents[3].rglob("*")) == before
