"""The places of tests, and of code that they share."""

from __future__ import annotations

import ast
from pathlib import Path

import harness

HARNESS = Path(harness.__file__).parent
TESTS = Path(__file__).parents[2]
MOST_MODULES = 12  # of a folder
WITHOUT_A_FOLDER_OF_THE_HARNESS = {"project", "guests"}  # the repository, and images/


def modules_of(tree: ast.AST) -> set[str]:
    """Full names of all modules that the code may import, and of what it takes from them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def is_of_tests_alone(name: str) -> bool:
    """Whether it is a test module or a conftest: nobody imports these."""
    package, *rest = name.split(".")
    ours = package in ("tests", "")
    return ours and any(part == "conftest" or part.startswith("test_") for part in rest)


def test_what_tests_share_is_in_support():
    """A test module imports no other one."""
    assert {
        (str(path.relative_to(TESTS)), name)
        for path in TESTS.rglob("*.py")
        for name in modules_of(ast.parse(path.read_text()))
        if is_of_tests_alone(name)
    } == set()


def test_an_import_of_a_test_module_is_seen():
    code = "def f():\n    from tests.unit.run import test_plan\n    from .test_plan import plan\n"
    names = modules_of(ast.parse(code))
    assert {name for name in names if is_of_tests_alone(name)} >= {
        "tests.unit.run.test_plan",
        ".test_plan",
    }


def test_unit_tests_are_in_folders_named_as_those_of_the_harness():
    folders = {path.parent.relative_to(TESTS / "unit") for path in TESTS.glob("unit/**/*.py")}
    known = {path.parent.relative_to(HARNESS) for path in HARNESS.rglob("*.py")}
    unknown = {str(folder) for folder in folders - known}
    assert unknown == WITHOUT_A_FOLDER_OF_THE_HARNESS


def test_no_folder_of_support_is_too_long_to_read():
    folders = {path.parent for path in TESTS.glob("support/**/*.py")}
    assert {
        str(folder): len(modules)
        for folder in folders
        if len(modules := set(folder.glob("*.py")) - {folder / "__init__.py"}) > MOST_MODULES
    } == {}
