"""Kernel configurations: ``.config`` files, and the fragments that change them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.errors import UsageError

_SET = re.compile(r"(CONFIG_\w+)=(.*)")
_UNSET = re.compile(r"# (CONFIG_\w+) is not set")
_DEFINED = re.compile(r"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)
# a choice may have a name (Linux before 6.9); a line of a help text has other words, too
_CHOICE = re.compile(
    r"^\s*choice(?:[ \t]+\w+)?[ \t]*(?:#.*)?\n((?:.*\n)*?)\s*endchoice\b", re.MULTILINE
)
OFF = "n"


def parse(text: str) -> dict[str, str]:
    """Option -> value, as written behind ``=``; ``n`` for ``# CONFIG_X is not set``.

    A later line overrides an earlier one, as in kconfig. Raises UsageError for a line that is not
    valid.
    """
    values = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line.strip()):
            values[match[1]] = match[2]
        elif match := _UNSET.fullmatch(line.strip()):
            values[match[1]] = OFF
        elif line.strip() and not line.lstrip().startswith("#"):
            raise UsageError(
                f"'{line.strip()}' is no line of a kernel configuration",
                hint="CONFIG_X=y, or # CONFIG_X is not set",
            )
    return values


def render(values: Mapping[str, str]) -> str:
    """The inverse of :func:`parse`."""
    return "".join(f"{line(option, value)}\n" for option, value in values.items())


def line(option: str, value: str) -> str:
    """One line of a configuration."""
    return f"# {option} is not set" if value == OFF else f"{option}={value}"


def spoken(value: str) -> str:
    """A value in words."""
    return {"y": "built in", "m": "a module", OFF: "not set"}.get(value, value)


def lost(wanted: Mapping[str, str], final: Mapping[str, str]) -> list[str]:
    """Options that do not have the wanted value in the final configuration."""
    return [option for option, value in wanted.items() if final.get(option, OFF) != value]


def defined(tree: Path) -> set[str]:
    """Every option that the Kconfig files of a source tree define, as ``CONFIG_X``."""
    return {f"CONFIG_{name}" for file in _kconfigs(tree) for name in _names(file)}


def choices(tree: Path) -> list[frozenset[str]]:
    """Every choice of a source tree: options of which only one can be set, as ``CONFIG_X``."""
    return [
        frozenset(f"CONFIG_{name}" for name in _DEFINED.findall(members))
        for file in _kconfigs(tree)
        for members in _CHOICE.findall(file.read_text(errors="replace"))
    ]


def giving_way(
    base: Mapping[str, str], changes: Mapping[str, str], choices: Iterable[frozenset[str]]
) -> dict[str, str]:
    """Each option that ``base`` sets in vain -> the one of its choice that ``changes`` set.

    Of the members of a choice only one can be set, so the line of ``base`` cannot hold.
    """
    return {
        option: chosen
        for members in choices
        for chosen in sorted(members & changes.keys())
        if changes[chosen] == "y"
        for option in sorted((members & base.keys()) - changes.keys())
        if base[option] == "y"
    }


def _kconfigs(tree: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(tree):
        if directory == str(tree / "arch"):
            names[:] = ["s390"]
        yield from (Path(directory, file) for file in files if file.startswith("Kconfig"))


def _names(file: Path) -> list[str]:
    return _DEFINED.findall(file.read_text(errors="replace"))
