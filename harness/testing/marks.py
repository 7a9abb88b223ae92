"""Turn ``@pytest.mark.zharness(...)`` into a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from harness.errors import UsageError
from harness.run.plan import Plan, plan_of
from harness.scenario.load import SUFFIX, load, split_cell
from harness.scenario.model import SECTIONS, section_of

MARK = "zharness"
DEFAULT_SCENARIO = "panic"
SCENARIO = "scenario"
_HINT = "its keywords are the fields of a scenario, as in a matrix; see docs/pytest.md"


@dataclass(frozen=True)
class Marked:
    """The content of marks: the scenario to start from, and fields by section."""

    scenario: str = DEFAULT_SCENARIO
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def merged(cls, marks: Iterable[pytest.Mark]) -> Self:
        """Merge ``marks``, the farthest first: the closest mark wins. Raises UsageError."""
        scenario = DEFAULT_SCENARIO
        merged: dict[str, dict[str, Any]] = {}
        for mark in marks:
            if mark.args:
                raise UsageError(f"{mark.args[0]!r} is no keyword", hint=_HINT)
            scenario = mark.kwargs.get(SCENARIO, scenario)
            for section, name, value in _fields(mark.kwargs):
                merged.setdefault(section, {})[name] = value
        if not isinstance(scenario, str):
            raise UsageError(f"{SCENARIO}: names one scenario", hint=_HINT)
        return cls(scenario, merged)


def marked_plan(item: pytest.Item) -> Plan:
    """The plan that the marks of ``item``, its class and its module make.

    The path of a scenario is relative to the test's file. Raises UsageError that names the test.
    """
    try:
        # pytest returns the closest mark first
        marked = Marked.merged(reversed([*item.iter_markers(MARK)]))
        name = marked.scenario
        if split_cell(name)[0].endswith(SUFFIX):
            name = str(item.path.parent / name)
        return plan_of(item.name, load(name, marked.fields))
    except UsageError as error:
        message = f"{item.nodeid}: @pytest.mark.{MARK}: {error.message}"
        raise UsageError(message, hint=error.hint) from error


def _fields(keywords: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Section, field and value of each keyword; a section's value is a dict of fields."""
    found: dict[tuple[str, str], Any] = {}
    for keyword, value in keywords.items():
        if keyword == SCENARIO:
            continue
        if keyword in SECTIONS:
            if not isinstance(value, dict):
                raise UsageError(f"{keyword}: is a dict: field -> value", hint=_HINT)
            given = {f"{keyword}.{name}": each for name, each in value.items()}
        else:
            given = {keyword: value}
        for name, each in given.items():
            try:
                key = section_of(name)
            except ValueError as error:
                raise UsageError(f"{name}: {error}", hint=_HINT) from None
            if key in found:
                raise UsageError(f"{name}: is given twice", hint=_HINT)
            found[key] = each
    return [(*key, value) for key, value in found.items()]
