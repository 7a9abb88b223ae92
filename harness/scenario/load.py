"""Find scenario files, read them, and make concrete scenarios of them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import OverrideError, UsageError
from harness.host.fault import unusable
from harness.host.paths import data_dir, require_file
from harness.scenario.faults import located_fault, parsed
from harness.scenario.model import SECTIONS, Scenario, section_of
from harness.schema_words import did_you_mean

SUFFIX = ".toml"
MATRIX_LIMIT = 256  # concrete scenarios of one file

# a path ends in .toml, and brackets before that are its own
_CELL = re.compile(rf"(.*?{re.escape(SUFFIX)}|[^/\[]*)(\[[\w.]+=.*\])", re.DOTALL)

Overrides = Mapping[str, Mapping[str, Any]]
"""Section -> field -> value; a value of None means: as the file says."""

_Fields = Mapping[tuple[str, str], Any]  # by section and field


@dataclass(frozen=True)
class Concrete:
    """One scenario to run: ``name`` is the file's, with the matrix's values in brackets."""

    name: str
    path: Path
    scenario: Scenario


def scenario_files() -> dict[str, Path]:
    """The scenario files that come with the harness, by name; those of CI first, then nightly."""
    root = data_dir() / "scenarios"
    paths = sorted(root.rglob(f"*{SUFFIX}"), key=lambda path: (path.parent, path.stem))
    return {path.stem: path for path in paths}


def load_all(name: str, overrides: Overrides | None = None) -> list[Concrete]:
    """Every concrete scenario of the file that ``name`` names: one, or a matrix of them.

    ``name`` is a scenario's name or a path; ``name[smp=2]`` picks from a matrix. Raises
    UsageError that names file, line and field, or OverrideError.
    """
    of, cell = split_cell(name)
    file = _File.find(of)
    found = [
        Concrete(f"{file.path.stem}{suffix}", file.path, scenario)
        for suffix, scenario in file.scenarios(overrides or {})
    ]
    if not cell:
        return found
    wanted = f"{file.path.stem}{cell}"
    picked = [each for each in found if each.name == wanted]
    if not picked:
        names = ", ".join(each.name for each in found)
        raise UsageError(f"no scenario '{wanted}'", hint=f"{file.path} has: {names}")
    return picked


def split_cell(name: str) -> tuple[str, str]:
    """A file's name or path, and the cell of its matrix: ``m.toml[smp=2]`` -> m.toml, [smp=2]."""
    match = _CELL.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def load(name: str, overrides: Overrides | None = None) -> Scenario:
    """Like :func:`load_all`, for what must be one concrete scenario."""
    found = load_all(name, overrides)
    if len(found) > 1:
        raise UsageError(
            f"'{name}' is a matrix of {len(found)} scenarios", hint=f"pick one: '{found[0].name}'"
        )
    return found[0].scenario


@dataclass(frozen=True)
class _File:
    """One file, with what it extends merged in: ``data`` is by section, ``matrix`` by field."""

    path: Path
    data: Mapping[str, Any]
    matrix: Mapping[str, list[Any]]

    @classmethod
    def find(cls, name: str, beside: Path | None = None, heirs: tuple[Path, ...] = ()) -> _File:
        return cls.read(_find(name, beside), heirs)

    @classmethod
    def read(cls, path: Path, heirs: tuple[Path, ...]) -> _File:
        if path.resolve() in heirs:
            raise UsageError(f"{path}: extends itself")
        require_file(path, "scenario")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise unusable(str(path), error) from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: byte {error.start} is not UTF-8") from error
        data = parsed(path, text)
        parent, matrix = data.pop("extends", None), data.pop("matrix", {})
        if parent is None:
            return cls(path, data, _checked_matrix(path, matrix))
        if not isinstance(parent, str):
            raise _refused(path, "extends", "names one scenario")
        base = cls.find(parent, path.parent, (*heirs, path.resolve()))
        matrix = _checked_matrix(path, matrix)
        merged, own = {**base.data, **data}, set(map(section_of, matrix))
        for section in SECTIONS.keys() & data.keys():
            if isinstance(data[section], dict):
                inherited = base.data.get(section)
                if isinstance(inherited, dict):
                    merged[section] = {**inherited, **data[section]}
                own |= {(section, field) for field in data[section]}
        axes = {name: base.matrix[name] for name in base.matrix if section_of(name) not in own}
        return cls(path, merged, {**axes, **matrix})

    def scenarios(self, overrides: Overrides) -> Iterator[tuple[str, Scenario]]:
        """Each combination of the matrix; an override removes its field from the matrix."""
        given = {
            (section, field): value
            for section, fields in overrides.items()
            for field, value in fields.items()
            if value is not None
        }
        axes = {
            name: values for name, values in self.matrix.items() if section_of(name) not in given
        }
        count = math.prod(map(len, axes.values()))
        if count > MATRIX_LIMIT:
            raise _refused(
                self.path, "matrix", f"{count} scenarios, more than the {MATRIX_LIMIT} allowed"
            )
        for values in itertools.product(*axes.values()):
            cell = dict(zip(axes, values, strict=True))
            written = {section_of(name): value for name, value in cell.items()}
            suffix = ",".join(f"{name}={value}" for name, value in cell.items())
            yield f"[{suffix}]" if suffix else "", self._scenario(written, given)

    def _scenario(self, written: _Fields, given: _Fields) -> Scenario:
        try:
            return self._validated({**written, **given})
        except ValidationError as error:
            field, what = located_fault(error)
        section_and_field = tuple(field.split(".")[:2])
        for each in given:
            if each == section_and_field:
                raise OverrideError([each], what)
        try:
            self._validated(written)
        except ValidationError:
            raise _refused(self.path, field, what) from None
        raise OverrideError([*given], f"{field}: {what} ({self.path})")

    def _validated(self, fields: _Fields) -> Scenario:
        data = dict(self.data)
        for (section, field), value in fields.items():
            written = data.get(section, {})
            if isinstance(written, dict):  # or else it is refused
                data[section] = {**written, field: value}
        return Scenario.model_validate(data)


def _checked_matrix(path: Path, matrix: Any) -> dict[str, list[Any]]:
    if not isinstance(matrix, dict):
        raise _refused(path, "matrix", "is a table: field -> list of values")
    axes: dict[tuple[str, str], str] = {}
    for name, values in matrix.items():
        try:
            same = axes.setdefault(section_of(name), name)
        except ValueError as error:
            raise _refused(path, f"matrix.{name}", str(error)) from None
        if same != name:
            raise _refused(path, f"matrix.{name}", f"is the same as {same}")
        if not isinstance(values, list) or not values:
            raise _refused(path, f"matrix.{name}", "is a list of at least one value")
    return matrix


def _find(name: str, beside: Path | None = None) -> Path:
    if name.endswith(SUFFIX):
        return Path(name) if beside is None else beside / name
    if beside is not None and (beside / f"{name}{SUFFIX}").is_file():
        return beside / f"{name}{SUFFIX}"
    files = scenario_files()
    if name in files:
        return files[name]
    if beside is None and Path(name).is_file():
        raise UsageError(
            f"{name} is no scenario: its name does not end in {SUFFIX}",
            hint="name the directory, and other files in it are left out",
        )
    hint = did_you_mean(name, files) or "zharness scenario list shows them"
    raise UsageError(f"no scenario '{name}'", hint=hint)


def _refused(path: Path, field: str, what: str) -> UsageError:
    line = _line_of(path, field)
    where = f"{path}:{line}" if line else str(path)
    return UsageError(f"{where}: {field + ': ' if field else ''}{what}")


def _line_of(path: Path, field: str) -> int | None:
    """Where ``section.field`` or ``field`` is written; None if this file does not write it."""
    section, _, key = field.rpartition(".")
    if field.startswith("matrix."):  # whose keys may have dots themselves
        section, key = "matrix", field.removeprefix("matrix.")
    elif section and section.split(".")[0] not in SECTIONS:
        section, key = "", section.split(".")[0]
    elif section.count("."):  # an element of a list
        section, key = section.split(".")[:2]
    written = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    header, begin = "", None
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if found := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", text):
            header = found[1]
            begin = number if header == key and not section else begin
        elif header == section and written.match(text):
            return number
    return begin
