"""The SHA-256 that ngdump.meta says of a dump."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from harness.verify.checks import dump_file
from harness.verify.kinds import FindingKind
from tests.support.checked import checked
from tests.support.evidence import SyntheticRun


def written(root: Path, sha256sum: str | None) -> Path:
    SyntheticRun(layout="ext4").write(root)
    path = root / "dump/collected.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256sum": sha256sum}))
    return root


def digest(root: Path) -> str:
    return hashlib.sha256((root / "dump/dump").read_bytes()).hexdigest()


def test_the_sha256_fits(tmp_path: Path):
    right = digest(written(tmp_path / "model", None))
    assert checked(dump_file.check, written(tmp_path / "right", right)).passed
    assert checked(dump_file.check, written(tmp_path / "large", right.upper())).passed


def test_another_sha256_is_a_finding(tmp_path: Path):
    for name, wrong in (("other", "0" * 64), ("none", ""), ("odd", "\x1b[2J")):
        (finding,) = checked(dump_file.check, written(tmp_path / name, wrong)).findings
        assert finding.kind is FindingKind.CHECKSUM_WRONG
        assert finding.message == "the dump is not the one of which ngdump.meta has the SHA-256"


def test_a_file_of_terabytes_is_not_read_for_its_sha256(tmp_path: Path):
    root = written(tmp_path / "run", "0" * 64)
    os.truncate(root / "dump/dump", 4 << 40)
    path = root / "dump/collected.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "size": 4 << 40}))
    (finding,) = checked(dump_file.check, root).findings
    assert finding.kind is FindingKind.CHECKSUM_WRONG
