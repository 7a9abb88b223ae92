"""End-to-end tests run the command line like a user, with real QEMU and real images."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.host.paths import default_store
from harness.images.store import Store
from harness.report.verdict import Verdict
from tests.support.command_line.zharness import RUN_SECONDS, Ran, Zharness, command
from tests.support.runs.dumped import QUIET, dumps_of_a_crash

BUILD_SECONDS = 3000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most tests come first: begun at the end, one would run alone."""
    count = Counter(item.path for item in items)
    items.sort(key=lambda item: (-count[item.path], item.path))


@pytest.fixture(scope="session")
def zharness() -> Zharness:
    """Run zharness with these arguments to its end."""

    def run(*arguments: object, timeout: float = RUN_SECONDS, **environment: str) -> Ran:
        done = subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **environment},
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def images(zharness: Zharness) -> Any:
    """All images of the main job, by their purpose; the first build may take minutes."""
    done = zharness("images", "build", "--json", timeout=BUILD_SECONDS)
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="session")
def debian(zharness: Zharness, images: Any) -> Any:
    """The image of a full system; its first build takes minutes."""
    done = zharness("images", "system", "--json", timeout=BUILD_SECONDS)
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="session")
def dump_kernel(zharness: Zharness, images: Any) -> Path:
    """The image of the harness's own dump kernel."""
    shown = zharness("images", "show", images["dump kernel"]["origin"])
    return Path(json.loads(shown.out)["directory"], "bzImage")


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(default_store(), QUIET)


@pytest.fixture(scope="module")
def dumped(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Verdict]:
    """Dumps of one stored crash, by name."""
    return dumps_of_a_crash(store, tmp_path_factory.mktemp("dumped"))


@pytest.fixture
def run_panic(zharness: Zharness, images: Any, tmp_path: Path) -> Callable[..., tuple[Ran, Path]]:
    """Run the scenario panic with these options; returns the result and the evidence."""

    def run(*options: object) -> tuple[Ran, Path]:
        output = tmp_path / "evidence"
        return zharness("run", "panic", "--json", "--output", output, *options), output

    return run
