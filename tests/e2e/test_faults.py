"""What goes wrong on purpose, in real machines: a dump is right, or nobody takes it for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("sdias-no-data:request=100", "failed"),
        ("operator-stop:request=1000", "stopped"),
        ("wrong-disk", "not-loaded"),
    ],
)
def test_a_dump_that_cannot_be_whole_does_not_look_whole(
    zharness: Zharness, tmp_path: Path, fault: str, outcome: str
):
    ran = zharness("run", "quick", "--fault", fault, "--json", "--output", tmp_path / "evidence")
    assert ran.code == 0, ran.err
    assert (ran.json["verdict"], ran.json["expected_wrong"]) == ("PASS", True)
    said = (tmp_path / "evidence" / "dump" / "outcome.json").read_text()
    assert f'"outcome": "{outcome}"' in said


def test_a_page_that_linux_takes_from_its_buffer_is_found(zharness: Zharness, tmp_path: Path):
    """A fault of Linux: docs/faults.md."""
    found = zharness(
        "run",
        "quick",
        *("--fault", "sdias-part-stored:request=100"),
        *("--json", "--output", tmp_path / "strict"),
    )
    assert found.code == 1, "the table promises that no such dump looks whole"
    kinds = [finding["kind"] for check in found.json["checks"] for finding in check["findings"]]
    assert "looks-whole" in kinds
    explained = zharness("explain", tmp_path / "strict", "--json").json
    assert explained["kind"] == "page-differs"
    assert explained["on purpose"] == ["sdias-part-stored:request=100"]
    assert any("memcpy_hsa_iter" in line for line in explained["about"])


def test_no_power_cut_leaves_a_dump_that_looks_whole_and_is_wrong(
    zharness: Zharness, tmp_path: Path
):
    ran = zharness("faults", "power-cuts", "quick", "--points", 8, "--json", "--output", tmp_path)
    assert ran.code == 0, ran.err
    assert len(ran.json["cuts"]) >= 8
    assert ran.json["failed"] == 0
    assert 0 < ran.json["whole"] < len(ran.json["cuts"]), "one cut is behind the last write"
