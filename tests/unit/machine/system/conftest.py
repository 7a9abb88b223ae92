from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.running_system import Guest


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    with Guest.living(tmp_path / "console.log") as guest:
        yield guest
