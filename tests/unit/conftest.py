from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.images.debian import mirror
from harness.s390x.cpu import CpuState
from tests.support import NO_MIRROR
from tests.support.cpus import make_cpu


@pytest.fixture(scope="package", autouse=True)
def no_network() -> Iterator[None]:
    """A test fails at once if it, or a process that it starts, fetches or builds something."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(mirror.ENVIRONMENT, NO_MIRROR)
        yield


@pytest.fixture
def cpu() -> CpuState:
    return make_cpu(1)
