"""Which folder may import which: the verdict never uses the machine, layouts import no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent
ARCHITECTURE = Path(__file__).parents[3] / "docs/architecture.md"
SPINE = {"harness", "harness.errors", "harness.deadline", "harness.progress"}
IO_MODULES = {
    "asyncio",
    "io",
    "mmap",
    "os",
    "pathlib",
    "pexpect",
    "select",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py") if "_data" not in path.parts}


def imported(tree: ast.AST, package: str) -> set[str]:
    """Full names of all modules that the code imports, wherever the statement stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            names |= {
                full if (full := f"{base}.{alias.name}") in MODULES else base
                for alias in node.names
            }
    return names


def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imported(ast.parse(path.read_text()), package)


def with_packages(names: set[str]) -> set[str]:
    """Python runs a module's packages before the module itself."""
    return names | {
        ".".join(parts[:count])
        for parts in (name.split(".") for name in names)
        for count in range(1, len(parts))
    }


IMPORTS = {module: imports_of(module) for module in MODULES}
LOADED = {module: with_packages(names) for module, names in IMPORTS.items()}


def reached_from(start: str, graph: dict[str, set[str]]) -> dict[str, str]:
    """Every module of ours that is imported directly or transitively: name -> imported by."""
    via: dict[str, str] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        for name in graph.get(module, set()):
            if name in graph and name not in via and name != start:
                via[name] = module
                waiting.append(name)
    return via


def chain(via: dict[str, str], target: str) -> str:
    names = [target]
    while names[0] in via:
        names.insert(0, via[names[0]])
    return " -> ".join(names)


def violations(module: str, forbidden: tuple[str, ...], graph: dict[str, set[str]]) -> list[str]:
    via = reached_from(module, graph)
    return [
        chain(via, name)
        for name in sorted(via)
        if any(name == layer or name.startswith(f"{layer}.") for layer in forbidden)
    ]


def cycles(graph: dict[str, set[str]]) -> list[str]:
    found = []
    for module in sorted(graph):
        via = reached_from(module, graph)
        found += [
            chain(via, name) + f" -> {module}" for name in sorted(via) if module in graph[name]
        ]
    return found


def in_layer(*layers: str) -> list[str]:
    return sorted(
        name
        for name in MODULES
        if any(
            name == f"harness.{layer}" or name.startswith(f"harness.{layer}.") for layer in layers
        )
    )


FRONTS = {"harness.__main__": {"cli"}, "harness.pytest_plugin": {"evidence", "testing"}}


def documented() -> dict[str, set[str]]:
    """Folder -> folders that it may import; the modules of harness/ itself are ``*.py``."""
    rows = re.findall(
        r"^\| `harness/([\w*.]+)` \|[^|]*\|([^|]*)\|$", ARCHITECTURE.read_text(), re.MULTILINE
    )
    return {folder: set(re.findall(r"`(\w+)`", allowed)) for folder, allowed in rows}


def folder_of(module: str) -> str:
    part = module.removeprefix("harness").removeprefix(".").partition(".")[0]
    return part if (ROOT / part).is_dir() and part else "*.py"


def used(folder: str) -> set[str]:
    modules = [name for name in MODULES if folder_of(name) == folder and name not in FRONTS]
    names = {name for module in modules for name in IMPORTS[module] if name in MODULES}
    return set(map(folder_of, names)) - {folder, "*.py"}


def test_every_folder_is_in_the_table_of_the_architecture():
    assert set(documented()) == set(map(folder_of, MODULES))


@pytest.mark.parametrize("folder", sorted(set(map(folder_of, MODULES))))
def test_the_table_of_the_architecture_is_true(folder: str):
    assert used(folder) == documented()[folder]


@pytest.mark.parametrize("front", FRONTS)
def test_fronts_import_what_they_stand_before(front: str):
    names = {folder_of(name) for name in IMPORTS[front] if name in MODULES}
    assert names - {"*.py"} == FRONTS[front]


def test_no_arrow_runs_upward():
    """A folder knows only those that stand above it in the table."""
    order = list(documented())
    assert [
        (folder, name)
        for folder in order
        for name in used(folder)
        if order.index(name) >= order.index(folder)
    ] == []


@pytest.mark.parametrize("module", in_layer("verify", "inspect", "dump"))
def test_the_machine_does_not_certify_itself(module: str):
    machine = ("harness.firmware", "harness.machine", "harness.qemu")
    assert violations(module, machine, LOADED) == []


@pytest.mark.parametrize("module", in_layer("verify"))
def test_the_verdict_knows_no_builder(module: str):
    assert violations(module, ("harness.images",), LOADED) == []


@pytest.mark.parametrize("module", in_layer("scenario"))
def test_a_scenario_loads_no_machine(module: str):
    machine = ("harness.firmware", "harness.machine", "harness.qemu", "harness.run")
    assert violations(module, machine, LOADED) == []


@pytest.mark.parametrize("module", in_layer("s390x"))
def test_layouts_import_nothing_above_them(module: str):
    ours = {name for name in IMPORTS[module] if name.split(".")[0] == "harness"}
    assert {name for name in ours if not name.startswith("harness.s390x")} <= SPINE
    assert not IMPORTS[module] & IO_MODULES


@pytest.mark.parametrize("module", in_layer("firmware"))
def test_firmware_is_sans_io(module: str):
    ours = {name for name in IMPORTS[module] if name.split(".")[0] == "harness"}
    allowed = ("harness.s390x", "harness.firmware", "harness.faults", "harness.errors")
    assert [name for name in ours if not name.startswith(allowed)] == []
    assert not IMPORTS[module] & IO_MODULES


def test_no_circular_imports():
    assert cycles(IMPORTS) == []


def test_all_layers_of_the_rules_exist():
    """The rules above would be green for ever if a layer were renamed."""
    for layer in ("verify", "inspect", "dump", "scenario", "s390x", "firmware"):
        assert len(in_layer(layer)) > 1


def test_packages_are_loaded_too():
    assert with_packages({"a.b.c"}) == {"a", "a.b", "a.b.c"}


def test_transitive_violation_is_found():
    graph = {
        "harness.verify.x": {"harness.dump.y", "os"},
        "harness.dump.y": {"harness.machine.z"},
        "harness.machine.z": set[str](),
    }
    assert violations("harness.verify.x", ("harness.machine",), graph) == [
        "harness.verify.x -> harness.dump.y -> harness.machine.z"
    ]


def test_cycle_is_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_relative_and_nested_imports_are_seen():
    code = "def f():\n    from . import reader\n    from ..machine import played_machine\n"
    assert imported(ast.parse(code), "harness.dump") == {
        "harness.dump.reader",
        "harness.machine.played_machine",
    }
