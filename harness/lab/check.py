"""Predict whether a kernel with a given configuration can dump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.images.kernel.configuration import OFF
from harness.lab.rules import Rule, Severity, Target, Version, rules
from harness.s390x.disk_layout import DiskLayout


@dataclass(frozen=True)
class Remark:
    """A rule that a configuration breaks, and the value that it has instead."""

    rule: Rule
    value: str

    def __str__(self) -> str:
        return f"CONFIG_{self.rule.option} is {_spoken(self.value)}, {self._wanted}"

    @property
    def _wanted(self) -> str:
        wanted = {"y": "must be built in", "n": "should be off"}
        what = wanted.get(self.rule.want, f"should be {self.rule.want}")
        return what.replace("must", "should") if self.rule.severity is Severity.WARNING else what

    def to_json(self) -> dict[str, Any]:
        return {"says": str(self), "value": self.value, **self.rule.model_dump(mode="json")}


def check(
    values: Mapping[str, str], target: Target, layout: DiskLayout, version: Version | None
) -> list[Remark]:
    """The rules that a configuration breaks, for dumps to ``layout``; errors first."""
    remarks = [
        Remark(rule, rule.value_in(values))
        for rule in rules()
        if rule.holds_for(target, layout, version) and not rule.satisfied_by(values)
    ]
    return sorted(remarks, key=lambda remark: remark.rule.severity is Severity.WARNING)


def dumps(remarks: list[Remark]) -> bool:
    """The prediction: whether a dump can be written."""
    return all(remark.rule.severity is not Severity.ERROR for remark in remarks)


def _spoken(value: str) -> str:
    return {"y": "built in", "m": "a module", OFF: "not set"}.get(value, value)
