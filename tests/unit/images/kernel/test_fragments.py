"""The configurations of our kernels are the same in each checkout, so that ccache serves all."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.host.paths import data_dir

FRAGMENTS = sorted((data_dir() / "images/kernel").glob("*.config"))


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.name)
def test_no_option_has_a_path(fragment: Path):
    """The options are in every object; a path of this checkout would be, too."""
    lines = [line for line in fragment.read_text().splitlines() if line.startswith("CONFIG_")]
    assert lines
    assert [line for line in lines if "/" in line or "$" in line] == []
