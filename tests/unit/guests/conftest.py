"""What the tests of the dump tool have in common: what it reads, and the release of the HSA."""

from __future__ import annotations

import pytest

from tests.support.guests.dump_tool import LOADS, make_core, tool


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(make_core(LOADS))
    return path


@pytest.fixture
def released(monkeypatch):
    """Whether, and after which writes, the HSA was released."""
    events: list[str] = []
    monkeypatch.setattr(tool.machine, "release_hsa", lambda: events.append("release"))
    monkeypatch.setattr(tool.machine, "say", lambda text: None)
    return events
