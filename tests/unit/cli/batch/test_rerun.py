"""What did not pass in an earlier batch is run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.batch.rerun import not_passed
from harness.errors import EvidenceError
from harness.scenario.load import scenario_files


def report(path: Path, *runs: tuple[str, str, str]) -> Path:
    keys = ("name", "verdict", "file")
    path.write_text(json.dumps({"runs": [dict(zip(keys, run, strict=True)) for run in runs]}))
    return path


def test_all_but_pass_and_each_once(tmp_path: Path):
    layouts, quick = (str(scenario_files()[name]) for name in ("layouts", "quick"))
    mine = tmp_path / "mine.toml"
    found = not_passed(
        report(
            tmp_path / "report.json",
            ("layouts[layout=ext4]", "FAIL", layouts),
            ("layouts[layout=ext3]", "PASS", layouts),
            ("quick", "ERROR", quick),
            ("quick#2", "INTERRUPTED", quick),
            ("mine[smp=2]", "SKIPPED", str(mine)),
        )
    )
    assert found == ["layouts[layout=ext4]", "quick", f"{mine}[smp=2]"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"runs": [{"name": 1}]}', '{"runs": 3}'])
def test_what_is_no_report(tmp_path: Path, content: str):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(EvidenceError, match=r"report\.json"):
        not_passed(path)
