"""Differences of two configurations that matter for dumping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.images.kernel.configuration import OFF
from harness.lab.rules import Rule, known_rules


@dataclass(frozen=True)
class Difference:
    """An option with two different values; ``rule`` says why this matters."""

    option: str
    first: str
    second: str
    rule: Rule

    def to_json(self) -> dict[str, Any]:
        return {
            "option": self.option,
            "first": self.first,
            "second": self.second,
            "why": self.rule.why,
            "wanted": self.rule.want,
        }


def differences(
    first: Mapping[str, str], second: Mapping[str, str]
) -> tuple[list[Difference], list[str]]:
    """The differences for which there is a rule, and the names of all other options that differ."""
    unequal = {
        option
        for option in first.keys() | second.keys()
        if first.get(option, OFF) != second.get(option, OFF)
    }
    spoken_of = {f"CONFIG_{rule.option}": rule for rule in reversed(known_rules())}
    explained = [
        Difference(option, first.get(option, OFF), second.get(option, OFF), rule)
        for option, rule in spoken_of.items()
        if option in unequal
    ]
    return explained, sorted(unequal - spoken_of.keys())
