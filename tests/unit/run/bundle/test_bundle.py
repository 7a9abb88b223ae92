"""A bundle: what one host packs, another one dumps again, with the same verdict."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import BuildError, EvidenceError, UsageError
from harness.evidence.pack import pack as packing
from harness.evidence.pack.store import PageStore
from harness.images.store import Built, Store
from harness.progress import NoProgress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.bundle.inputs import Bundled
from harness.run.bundle.manifest import MANIFEST, Manifest
from harness.run.bundle.pack import pack
from harness.run.bundle.unpack import is_bundle, unpack
from tests.support.runs.machines import PlayedMachines, evidence, machines, options, plan

__all__ = ["evidence", "machines", "options"]  # fixtures

SECRET = "kernel-of-mine"


@pytest.fixture
def played(machines: Callable[..., PlayedMachines], options: dict[str, Any]) -> PlayedMachines:
    return machines()


def disk_in(store: Store, played: PlayedMachines) -> Built:
    def build(directory: Path, log: Path) -> dict[str, Any]:
        shutil.copyfile(played.prepared / "disk.img", directory / "disk.img")
        return {}

    return store.get("dump-disk", {}, build)


@pytest.fixture
def run(played: PlayedMachines, options: dict[str, Any], evidence: Path, tmp_path: Path) -> Path:
    """The evidence of a run whose crashed kernel is at a path of this host."""
    store = options["store"]
    kernel = tmp_path / SECRET
    kernel.mkdir()
    (kernel / "vmlinux").write_bytes(b"vmlinux")
    verdict = engine.run(plan(), **options)
    assert verdict.result is Result.PASS
    document = json.loads((evidence / "run.json").read_text())
    document["inputs"]["dump disk"] = disk_in(store, played).key
    document["inputs"]["crashed kernel"] = {
        "release": "6.12",
        "vmlinux": {
            "path": str(kernel / "vmlinux"),
            "sha256": hashlib.sha256(b"vmlinux").hexdigest(),
        },
        "modules": str(kernel),
    }
    (evidence / "run.json").write_text(json.dumps(document))
    return evidence


@pytest.fixture
def bundle(run: Path, options: dict[str, Any], tmp_path: Path) -> Path:
    target = tmp_path / "run.tar.zst"
    pack(run, target, options["store"], NoProgress())
    return target


def elsewhere(tmp_path: Path) -> Store:
    return Store(tmp_path / "another store", NoProgress())


def test_the_dump_is_made_again_elsewhere_with_the_same_verdict(
    bundle, played, options, tmp_path, run
):
    before = Verdict.from_json(json.loads((run / "verdict.json").read_text()), run)
    shutil.rmtree(run)
    shutil.rmtree(options["store"].root)
    shutil.rmtree(tmp_path / SECRET)
    store = elsewhere(tmp_path)
    bundled = Bundled.open(unpack(bundle, store, NoProgress()))
    only_qemu = replace(options["machines"], dump_inputs=bundled.machines().dump_inputs)
    after = engine.dump_snapshot(
        bundled.snapshot,
        bundled.plan,
        output=tmp_path / "again",
        store=store,
        progress=NoProgress(),
        machines=only_qemu,
    )
    assert before.differences(after) == []
    assert (tmp_path / "again/dump/dump").read_bytes() == played.elf
    inputs = json.loads((tmp_path / "again/run.json").read_text())["inputs"]
    vmlinux = Path(inputs["crashed kernel"]["vmlinux"]["path"])
    assert vmlinux.read_bytes() == b"vmlinux"
    assert vmlinux.is_relative_to(store.root)


def test_nothing_of_this_host_is_in_it(bundle, tmp_path):
    with zstandard.open(bundle) as file:
        content = file.read()
    for path in (str(tmp_path), str(Path.home()), str(Path.cwd())):
        assert path.encode() not in content, path
    assert b"GIVEN/vmlinux" in content


def test_each_content_is_there_once(bundle):
    with zstandard.open(bundle) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        names = [member.name for member in archive]
    assert names[0] == MANIFEST
    assert len(names) == len(set(names)) > 5


def test_it_is_not_written_over_another_file(run, options, tmp_path):
    (tmp_path / "there").write_text("x")
    with pytest.raises(UsageError, match="is there already"):
        pack(run, tmp_path / "there", options["store"], NoProgress())
    assert (tmp_path / "there").read_text() == "x"


def test_a_disk_that_the_store_has_no_more_is_named(run, tmp_path):
    with pytest.raises(UsageError, match="has no dump disk"):
        pack(run, tmp_path / "run.tar.zst", elsewhere(tmp_path), NoProgress())
    assert not (tmp_path / "run.tar.zst").exists()


def test_a_vmlinux_that_has_changed_is_not_packed(run, options, tmp_path):
    (tmp_path / SECRET / "vmlinux").write_bytes(b"another")
    with pytest.raises(EvidenceError, match="is not the vmlinux that the run recorded"):
        pack(run, tmp_path / "run.tar.zst", options["store"], NoProgress())


def test_a_directory_is_no_bundle(run, bundle):
    assert is_bundle(bundle)
    assert not is_bundle(run)
    assert not is_bundle(run / "run.json")


ENTRY = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
TOLD: dict[str, Any] = {
    "version": 1,
    "harness": "1",
    "name": "quick",
    "result": "PASS",
    "files": {"disk.img": ENTRY},
}


def archive(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """An archive of these members; the last one is of another ``kind``."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if (name, content) == members[-1]:
                member.type, member.linkname = kind, "/etc/passwd"
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def told(**changed: Any) -> tuple[str, bytes]:
    return MANIFEST, json.dumps({**TOLD, **changed}).encode()


OBJECT = f"objects/{ENTRY['sha256']}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged"),
        (archive(("x", b"")), "its first member is not bundle.json"),
        (archive((MANIFEST, b"3")), "JSON object"),
        (archive(told(version=2)), "version"),
        (archive(told(extra=1)), "extra"),
        (archive(told()), "1 of its files are missing"),
        (archive(told(), (OBJECT, b"y")), "is not what was packed"),
        (archive(told(), (OBJECT, b"xy")), "has 2 bytes, not 1"),
        (archive(told(), ("../../x", b"x")), "a member that its manifest does not tell"),
        (archive(told(), (OBJECT, b"x"), (OBJECT, b"x")), "a member that its manifest"),
        (archive(told(), (OBJECT, b""), kind=tarfile.SYMTYPE), "no plain file"),
        (archive(told(), (OBJECT, b""), kind=tarfile.LNKTYPE), "no plain file"),
        (archive(told(), ("p", b"x" * 9), kind=tarfile.XHDTYPE), "no plain file"),
        (archive(told(), ("p", b"x" * 9), kind=tarfile.GNUTYPE_LONGNAME), "no plain file"),
        *(
            (archive(told(files={name: ENTRY})), "not the name of a file")
            for name in ("/x", "evidence/../x", "manifest.json", "evidence/crash/", "vmlinux/x")
        ),
        (archive(told(files={"disk.img": {**ENTRY, "size": -1}})), "size"),
    ],
)
def test_what_somebody_else_has_packed_stays_in_its_place(tmp_path, content, why):
    bundle, store = tmp_path / "b.tar.zst", elsewhere(tmp_path)
    bundle.write_bytes(zstandard.compress(content))
    with pytest.raises((EvidenceError, BuildError), match=why):
        unpack(bundle, store, NoProgress())
    assert store.images() == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_goes_unnoticed(bundle, tmp_path, data):
    whole = bundle.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(st.sampled_from(["cut", "bit"]))
    flipped = bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))])
    damaged = whole[:at] + (b"" if changed == "cut" else flipped + whole[at + 1 :])
    file, store = tmp_path / "damaged.tar.zst", elsewhere(tmp_path)
    file.write_bytes(damaged)
    try:
        found = unpack(file, store, NoProgress())
    except (EvidenceError, BuildError) as error:
        found, why = None, error.message
    if found is None:
        assert str(file) in why
    else:  # bits that Zstandard does not use
        right = unpack(bundle, store, NoProgress())
        assert found.manifest["files"] == right.manifest["files"]


def test_the_manifest_of_a_bundle_is_read_back(bundle, tmp_path):
    image = unpack(bundle, elsewhere(tmp_path), NoProgress())
    read = Manifest.model_validate(image.manifest["bundle"])
    assert (read.name, read.result) == ("test", "PASS")
    assert {"disk.img", "vmlinux", "evidence/run.json"} <= read.files.keys()


def test_a_packed_run_gives_the_same_bundle(run, options, tmp_path, monkeypatch):
    told = pack(run, tmp_path / "whole.tar.zst", options["store"], NoProgress())
    monkeypatch.setattr(packing, "_SMALL", 1)
    assert packing.pack(run, PageStore.of_series(run.parent), NoProgress()) > 0
    assert not (run / "crash/ram.img").exists()
    again = pack(run, tmp_path / "packed.tar.zst", options["store"], NoProgress())
    assert again == told
    assert not (run / "crash/ram.img").exists()
