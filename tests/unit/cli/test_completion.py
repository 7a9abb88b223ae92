"""What a shell completes; what cannot be read has no names, and nothing is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cli import completion
from harness.evidence.names import RUN
from harness.images.store import Store
from harness.progress import NoProgress
from harness.results.database import Database
from harness.results.record import Recorder

MATRIX = 'description = "x"\n[matrix]\n"crashed.smp" = [1, 2]\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHARNESS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("ZHARNESS_RESULTS", str(tmp_path / "results.sqlite"))
    monkeypatch.setattr(completion, "default_runs", lambda: tmp_path / "runs")
    return tmp_path


def test_scenarios_and_their_files(here):
    (here / "mine.toml").write_text(MATRIX)
    assert completion.scenario("qui") == ["quick"]
    assert completion.scenario("min") == ["mine.toml"]


def test_the_cells_of_a_matrix(here):
    (here / "mine.toml").write_text(MATRIX)
    cells = ["mine.toml[crashed.smp=1]", "mine.toml[crashed.smp=2]"]
    assert completion.scenario("mine.toml[") == cells
    assert completion.scenario("mine.toml[crashed.smp=2") == cells[1:]
    assert "contexts[trigger=oops]" in completion.scenario("contexts[trig")
    assert completion.scenario("no-such[") == []
    (here / "bad.toml").write_text("[")
    assert completion.scenario("bad.toml[") == []


def test_images_and_kernels(here):
    store = Store(here / "store", NoProgress())
    names = [store.get(kind, {}, lambda *_: {}).name for kind in ("kernel-dump", "initramfs")]
    assert completion.image("k") == names[:1]
    assert sorted(completion.image("")) == sorted(names)
    assert completion.kernel("k") == names[:1]
    assert completion.kernel("init") == []
    (here / "bzImage").touch()
    assert completion.kernel("bz") == ["bzImage"]


def test_patches(here):
    (here / "own.patch").touch()
    (here / "own.txt").touch()
    assert completion.patch("own") == ["own.patch"]
    assert len(completion.patch("")) > 5


def test_series_of_nights(here):
    database = Database.open(str(here / "results.sqlite"))
    for name in ("night", "big"):
        Recorder.begin(database, name, here / "n", [])
    database.close()
    assert completion.series("") == ["big", "night"]
    assert completion.series("n") == ["night"]


@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 1000])
def test_what_is_no_database_has_no_series_and_stays(here, content):
    file = here / "results.sqlite"
    if content is not None:
        file.write_bytes(content)
    assert completion.series("") == []
    assert (file.read_bytes() if file.exists() else None) == content


def test_no_server_is_asked_for_series(monkeypatch):
    monkeypatch.setenv("ZHARNESS_RESULTS", "postgresql+psycopg://u@127.0.0.1:1/x")
    assert completion.series("") == []


def test_evidence_is_the_newest_runs_and_paths(here):
    for age, name in enumerate(("new", "old")):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / RUN).touch()
        os.utime(here / "runs" / name, (1000 - age, 1000 - age))
    (here / "runs/no-run").mkdir()
    assert completion.evidence(f"{here}/runs/")[:2] == [f"{here}/runs/new", f"{here}/runs/old"]
    assert completion.evidence("ru") == ["runs/"]


def test_without_any_there_is_no_evidence():
    assert completion.evidence("") == []
