"""The end of a file that anybody may have made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EvidenceError
from harness.files.plain_file import read_end


@given(st.binary(max_size=64), st.integers(1, 80))
def test_the_end_of_a_file(tmp_path_factory, content, limit):
    path = tmp_path_factory.mktemp("end") / "file"
    path.write_bytes(content)
    assert read_end(path, limit) == (content[-limit:], len(content) > limit)


@pytest.mark.parametrize("kind", ["link", "FIFO", "directory", "nothing"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str):
    path = tmp_path / "x"
    if kind == "link":
        path.symlink_to(__file__)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(EvidenceError, match=str(path)):
        read_end(path, 10)
