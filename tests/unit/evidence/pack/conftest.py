from __future__ import annotations

from pathlib import Path

import pytest

from harness.evidence.pack.store import PAGE, PageStore
from tests.unit.evidence.pack.made import noise, run_with


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return tmp_path / "series"


@pytest.fixture
def store(series: Path) -> PageStore:
    return PageStore.of_series(series)


@pytest.fixture
def run(series: Path) -> Path:
    return run_with(
        series / "0001/runs/one",
        crash__ram_img=noise(1) + bytes(1 << 20) + noise(2),
        dump__dump=b"header".ljust(PAGE, b"\0") + noise(1) + noise(2) + b"the end",
    )
