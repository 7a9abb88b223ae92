"""Predict whether a kernel with a given configuration can dump."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from harness.dump_tools.tool import DumpTool
from harness.images.kernel.configuration import spoken
from harness.lab.rules import NO_TOOL, Group, Rule, Severity, Target, Version, needs, rules
from harness.run.inputs.dump_tool import ChosenTool
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.model import Dump


def chosen_tool(word: str) -> DumpTool | None:
    """The tool that one of ``TOOL_WORDS``, or a row's file, means.

    Raises UsageError for another word, and for a file that is no row.
    """
    return None if word == NO_TOOL else ChosenTool.of(Dump(tool=word)).tool


@dataclass(frozen=True)
class Remark:
    """A rule that a configuration breaks, and the value that it has instead."""

    rule: Rule
    value: str

    def __str__(self) -> str:
        return f"CONFIG_{self.rule.option} is {spoken(self.value)}, {self._wanted}"

    @property
    def _wanted(self) -> str:
        wanted = {"y": "must be built in", "n": "should be off"}
        what = wanted.get(self.rule.want, f"should be {self.rule.want}")
        return what.replace("must", "should") if self.rule.severity is Severity.WARNING else what

    def to_json(self) -> dict[str, Any]:
        rule = self.rule.model_dump(mode="json")
        return {"says": str(self), "value": self.value, "group": str(self.rule.group), **rule}


def check(
    values: Mapping[str, str],
    target: Target,
    layout: DiskLayout,
    version: Version | None,
    tool: DumpTool | None,
) -> list[Remark]:
    """The rules that a configuration breaks, for dumps by ``tool`` to ``layout``; errors first.

    Without a tool, what a tool needs is left out.
    """
    remarks = [
        Remark(rule, rule.value_in(values))
        for rule in (*rules(), *(needs(tool) if tool else ()))
        if rule.holds_for(target, layout, version) and not rule.satisfied_by(values)
    ]
    return sorted(remarks, key=lambda remark: remark.rule.severity is Severity.WARNING)


def dumps(remarks: Iterable[Remark]) -> bool:
    """The prediction: whether a dump can be written."""
    return all(remark.rule.severity is not Severity.ERROR for remark in remarks)


@dataclass(frozen=True)
class Checked:
    """What a configuration lacks for each target, and for each group that needs something.

    A group that nobody asked for is left out: the tool without ``tool``, QEMU without its target.
    """

    tool: DumpTool | None
    layout: DiskLayout
    targets: Mapping[Target, Sequence[Remark]]
    groups: Mapping[Group, Sequence[Remark]]

    @classmethod
    def of(
        cls,
        values: Mapping[str, str],
        version: Version | None,
        targets: Iterable[Target],
        layout: DiskLayout,
        tool: DumpTool | None,
    ) -> Self:
        """Check a configuration for dumps by ``tool`` to ``layout`` on each of ``targets``."""
        found = {each: check(values, each, layout, version, tool) for each in targets}
        once = dict.fromkeys(remark for remarks in found.values() for remark in remarks)
        asked = {Group.KERNEL: True, Group.TOOL: tool is not None, Group.QEMU: Target.QEMU in found}
        groups = {
            group: [each for each in once if each.rule.group is group]
            for group, is_asked in asked.items()
            if is_asked
        }
        return cls(tool, layout, found, groups)

    @property
    def holds(self) -> bool:
        """Whether every group has what it needs."""
        return all(map(dumps, self.groups.values()))

    def to_json(self) -> dict[str, Any]:
        return {
            "tool": None if self.tool is None else self.tool.name,
            "targets": _to_json(self.targets, "dumps"),
            "groups": _to_json(self.groups, "holds"),
        }


def _to_json(found: Mapping[Any, Sequence[Remark]], verdict: str) -> dict[str, Any]:
    return {
        str(each): {verdict: dumps(remarks), "remarks": [remark.to_json() for remark in remarks]}
        for each, remarks in found.items()
    }
