"""The real libkdumpfile, which bootstrap.sh installs, on small dumps."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.dump.detect import open_dump
from harness.judges import libkdumpfile
from tests.support.dumps import small
from tests.support.dumps.small import MEMORY

pytestmark = pytest.mark.e2e


def test_the_result_for_a_right_and_for_a_damaged_dump(tmp_path: Path):
    path = small.written(tmp_path)
    with open_dump(path) as dump:
        assert libkdumpfile.check(path, dump).passed
        content = path.read_bytes().replace(
            MEMORY[:256] * 2, b"x" + MEMORY[1:256] + MEMORY[:256], 1
        )
        other = path.with_name("other")
        other.write_bytes(content)
        blocks = [(0, len(MEMORY))]
        result = libkdumpfile.compare(dump, blocks, libkdumpfile.ask(other, blocks))
    assert [finding.message[:20] for finding in result.findings] == ["memory at 0x0-0x3fff"]


def test_it_can_refuse_a_file(tmp_path: Path):
    (tmp_path / "text").write_text("no dump")
    told = libkdumpfile.ask(tmp_path / "text", [])
    assert "UnknownFormat" in str(told.facts["opened"]) or "NotImplemented" in str(told.facts)
