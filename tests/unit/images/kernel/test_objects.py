"""The objects of one kernel serve those that differ a little, and only if they are good ones."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.images.kernel import objects
from harness.images.kernel.objects import base_of, keep, kept
from harness.images.kernel.source import _Commit, _Stored
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.store import Store

PLAIN = KernelSpec(Role.DUMP)
KERNEL: dict[str, Any] = {"source": "linux"}
LATER = 3600


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A host with these tools."""
    tools = {"as": "2.40", "gcc": "12.2"}
    said = lambda *_, **__: SimpleNamespace(stdout=f"{tools['as']}\nCopyright\n")  # noqa: E731
    monkeypatch.setattr("subprocess.run", said)
    monkeypatch.setattr(objects, "compiler", lambda: tools["gcc"])
    monkeypatch.setattr(objects, "require_tools", lambda tools: None)
    return tools


@pytest.fixture
def full(store: Store) -> Store:
    """A store with objects."""
    made: Any = SimpleNamespace(keep=lambda archive: archive.write_bytes(b"objects"))
    keep(store, Role.DUMP, KERNEL, made)
    return store


def found(store: Store, *, before: float | None = None) -> bytes | None:
    archive = kept(store, Role.DUMP, KERNEL, time.time() + LATER if before is None else before)
    return archive and archive.read_bytes()


def test_objects_are_found_again(full: Store):
    assert found(full) == b"objects"
    assert kept(full, Role.DUMP, {"source": "other"}, time.time() + LATER) is None


def test_without_objects_there_are_none(store: Store):
    assert found(store) is None


@pytest.mark.parametrize("tool", ["as", "gcc"])
def test_other_tools_make_other_objects(full: Store, host: dict[str, str], tool: str):
    host[tool] = "99"
    assert found(full) is None


def test_another_wrapper_makes_other_objects(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "wrapper").write_text("other\n")
    monkeypatch.setattr(objects, "COMPILE", tmp_path / "wrapper")
    assert found(full) is None


def test_objects_from_the_future_are_not_taken(full: Store):
    """A patched file would look older than its object."""
    assert found(full, before=time.time() - LATER) is None


def test_damaged_objects_are_not_taken(full: Store):
    (image,) = full.find("objects-dump")
    archive = image.path / "objects.tar"
    archive.chmod(0o644)
    archive.write_bytes(b"damaged")
    assert found(full) is None


def test_whose_objects_a_kernel_begins_with(tmp_path: Path):
    source, commit = _Stored({}, tmp_path), _Commit({}, tmp_path, "1234")
    assert base_of(PLAIN, source) == PLAIN
    assert base_of(replace(PLAIN, configuration=("CONFIG_A=y",)), source) == PLAIN
    older = replace(PLAIN, source="linux-source-6.1")
    assert base_of(replace(older, patches=("a.patch",)), source) == older
    assert base_of(KernelSpec(Role.CRASHED), source) is None
    assert base_of(PLAIN, commit) is None
