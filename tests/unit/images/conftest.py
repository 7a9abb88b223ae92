from __future__ import annotations

from pathlib import Path

import pytest

from harness.images.store import Store
from tests.support.fake_apt import FakeApt, fake_apt
from tests.support.images.stored import Said


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return fake_apt(tmp_path / "bin", monkeypatch)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def store(tmp_path: Path, said: Said) -> Store:
    return Store(tmp_path / "store", said)
