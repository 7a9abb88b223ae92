"""A run that passed keeps its texts and digests; its images can be made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import EvidenceError
from harness.evidence.slim import large_files, slim
from harness.files import sparse
from harness.verify.evidence import Evidence
from tests.support.evidence import SyntheticRun


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return SyntheticRun().write(tmp_path / "run")


def test_the_images_go_and_their_digests_stay(run):
    digest, small = sparse.digest(run / "dump/dump"), (run / "dump/console.log").read_bytes()
    assert slim(run) > 0
    noted = json.loads((run / "slimmed.json").read_text())
    assert noted["dump/dump"]["digest"] == digest
    assert not (run / "crash/ram.img").exists()
    assert (run / "dump/console.log").read_bytes() == small
    assert large_files(run) == []
    assert slim(run) == 0
    assert json.loads((run / "slimmed.json").read_text()) == noted


def test_to_verify_it_again_says_how(run):
    slim(run)
    with (
        pytest.raises(EvidenceError, match="removed after the run had passed") as caught,
        Evidence.open(run),
    ):
        pass
    assert "replay" in (caught.value.hint or "")


def test_a_file_with_another_name_frees_nothing(run, tmp_path):
    for number, path in enumerate(large_files(run)):
        (tmp_path / str(number)).hardlink_to(path)
    assert slim(run) == 0


def test_a_link_of_somebody_else_is_not_followed(run, tmp_path):
    (tmp_path / "other").write_bytes(b"x" * 5000)
    (run / "dump/dump").unlink()
    (run / "dump/dump").symlink_to(tmp_path / "other")
    slim(run)
    assert (tmp_path / "other").exists()
    assert (run / "dump/dump").is_symlink()
