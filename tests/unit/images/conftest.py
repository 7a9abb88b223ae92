from __future__ import annotations

from pathlib import Path

import pytest

from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.fake_apt import FakeApt, fake_apt


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return fake_apt(tmp_path / "bin", monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", NoProgress())
