"""The names of evidence files: each is once in the code, and explained in docs/evidence.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

import harness
from harness.evidence import names

PACKAGE = Path(harness.__file__).parent
EXPLAINED = (PACKAGE.parent / "docs/evidence.md").read_text()
NAMES = {name for variable, name in vars(names).items() if variable.isupper()}
FILES = sorted(name for name in NAMES if PurePath(name).suffix)
# the disk in the store from which a run's own is copied
OTHERS = {("images/disk.py", "disk.img")}


def file_names(code: str) -> Iterator[str]:
    """The last parts of all strings that stand for paths; docstrings do not."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield PurePath(node.value).name


def said_again(root: Path) -> set[tuple[str, str]]:
    found = {
        (str(path.relative_to(root)), name)
        for path in root.rglob("*.py")
        if path != root / "evidence/names.py"
        for name in file_names(path.read_text())
        if name in FILES
    }
    return found - OTHERS


def test_each_name_occurs_once_in_the_code():
    assert len(FILES) > 12
    assert said_again(PACKAGE) == set()


def test_a_repeated_name_is_found(tmp_path):
    (tmp_path / "new.py").write_text('def log(run):\n    return run / "dump/console.log"\n')
    assert said_again(tmp_path) == {("new.py", "console.log")}


@pytest.mark.parametrize("name", FILES)
def test_each_name_is_explained(name):
    assert f"`{name}`" in EXPLAINED or f"# {name}" in EXPLAINED
