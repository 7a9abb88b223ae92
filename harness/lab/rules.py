"""The rules for a dump kernel's configuration, read from ``images/kernel/rules.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from harness.dump_tools.table import TOOLS, ZFCPDUMP
from harness.dump_tools.tool import DumpTool
from harness.host.paths import data_dir
from harness.images.kernel.configuration import OFF
from harness.s390x.disk_layout import DiskLayout

NO_TOOL = "none"
TOOL_WORDS = (*TOOLS, NO_TOOL)  # a user chooses one; the first is the default
_BOUND = re.compile(r"<= (\d+)")

Version = tuple[int, int]


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Target(StrEnum):
    """Where the kernel will dump: on a real machine, or under QEMU."""

    MACHINE = "machine"
    QEMU = "qemu"


class Group(StrEnum):
    """What needs an option: the dump kernel itself, the tool that dumps with it, or QEMU."""

    KERNEL = "kernel"
    TOOL = "tool"
    QEMU = "qemu"


def version_of(release: str) -> Version | None:
    """``6.12.63-zharness`` -> (6, 12); None for other text."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else None


def _version(text: object) -> Version:
    found = version_of(str(text))
    if found is None:
        raise ValueError(f"'{text}' is no version of Linux")
    return found


Since = Annotated[
    Version, BeforeValidator(_version), PlainSerializer(lambda version: ".".join(map(str, version)))
]


class Rule(BaseModel):
    """One entry of ``rules.toml``, or a need of the dump ``tool`` of that name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    option: str = Field(pattern=r"^[A-Z0-9_]+$")
    want: str = Field(pattern=r"^(y|n|<= \d+)$")
    severity: Severity
    why: str = Field(min_length=1)
    instead: tuple[str, ...] = ()
    on: Target | None = None
    layouts: tuple[DiskLayout, ...] = tuple(DiskLayout)
    since: Since | None = None
    before: Since | None = None
    tool: str | None = None

    @property
    def group(self) -> Group:
        """What needs the option."""
        if self.tool is not None:
            return Group.TOOL
        return Group.QEMU if self.on is Target.QEMU else Group.KERNEL

    def holds_for(self, target: Target, layout: DiskLayout, version: Version | None) -> bool:
        """Whether the rule applies; to an unknown version, every rule without ``before`` does."""
        if self.on not in (None, target) or layout not in self.layouts:
            return False
        if version is None:
            return self.before is None
        return (self.since is None or version >= self.since) and (
            self.before is None or version < self.before
        )

    def satisfied_by(self, values: Mapping[str, str]) -> bool:
        """Whether a configuration has the value; a module is neither on nor off."""
        if any(values.get(f"CONFIG_{name}") == "y" for name in self.instead):
            return True
        value = self.value_in(values)
        if bound := _BOUND.fullmatch(self.want):
            return not value.isdecimal() or int(value) <= int(bound[1])
        return value == "y" if self.want == "y" else value == OFF

    def value_in(self, values: Mapping[str, str]) -> str:
        """The option's value in a configuration."""
        return values.get(f"CONFIG_{self.option}", OFF)


@cache
def rules(path: Path | None = None) -> tuple[Rule, ...]:
    """All rules, in the order of the file."""
    path = data_dir() / "images" / "kernel" / "rules.toml" if path is None else path
    return tuple(Rule.model_validate(entry) for entry in tomllib.loads(path.read_text())["rule"])


def needs(tool: DumpTool) -> tuple[Rule, ...]:
    """What a dump tool needs, as rules."""
    return tuple(
        Rule(
            option=need.option,
            want="y",
            severity=Severity.ERROR if need.essential else Severity.WARNING,
            why=need.why,
            instead=need.instead,
            tool=tool.name,
        )
        for need in tool.needs
    )


def known_rules() -> tuple[Rule, ...]:
    """All rules, and what the harness's own dump tool needs."""
    return (*rules(), *needs(ZFCPDUMP))
