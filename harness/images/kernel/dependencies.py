"""Why an option does not have the value that a configuration asks for.

Kconfig itself tells: ``images/kernel/why.c``, built and run in the kernel's tree, writes facts
about each such option, and about the options that it depends on. This module makes sentences of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.images.kernel import configuration
from harness.images.kernel.configuration import OFF

# CRASH_DUMP [=n], CRASH_DUMP [=n]=y [=y]
_SINGLE = re.compile(r"(\w+) \[=([^\]]*)\](?:=y \[=y\])?")
_CONSTANTS = "nm"  # what Kconfig makes of a $(success,...) that runs the compiler
_UNKNOWN = "its reason is not known"


class Fact(StrEnum):
    """The words of ``why.c``."""

    VALUE = "value"
    NEEDS = "needs"  # a part of its dependencies that fails, with the values of options
    SELECTED = "selected"  # an option that selects it
    SELECTOR = "selector"  # an option that could
    CONDITION = "condition"  # an option that is set would select it if this were so
    HIDDEN = "hidden"  # it has no prompt, so no configuration can set it
    CHOSEN = "chosen"  # the member of its choice that is chosen
    RANGE = "range"
    UNDEFINED = "undefined"


@dataclass
class _Option:
    """What is known of one option."""

    facts: dict[Fact, list[str]] = field(default_factory=dict)

    def __getitem__(self, fact: Fact) -> list[str]:
        return self.facts.get(fact, [])

    def has(self, fact: Fact) -> bool:
        return fact in self.facts


@dataclass(frozen=True)
class Loss:
    """An option that does not have the value that was ``asked`` for, but ``value``; and ``why``."""

    option: str
    asked: str
    value: str
    why: str
    undefined: bool = False  # the source does not define it

    def __str__(self) -> str:
        return f"'{self.line}' does not hold: {self.why}"

    @property
    def line(self) -> str:
        """The line of the configuration that does not hold."""
        return configuration.line(self.option, self.asked)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def losses(wanted: Mapping[str, str], final: Mapping[str, str], facts: str) -> list[Loss]:
    """Every line of ``wanted`` that does not hold in the ``final`` configuration.

    ``facts`` is what ``why.c`` wrote about these options; "" if it could not be run.
    """
    known = _read(facts.splitlines())
    return [
        Loss(
            option=option,
            asked=wanted[option],
            value=final.get(option, OFF),
            why=_why(option, wanted[option], final, known),
            undefined=known.get(option.removeprefix("CONFIG_"), _Option()).has(Fact.UNDEFINED),
        )
        for option in configuration.lost(wanted, final)
    ]


def _read(lines: Iterable[str]) -> dict[str, _Option]:
    """Each fact once: an option may be met on several ways."""
    known: dict[str, _Option] = {}
    for line in lines:
        name, word, text = line.split("\t", 2)
        texts = known.setdefault(name, _Option()).facts.setdefault(Fact(word), [])
        if text not in texts:
            texts.append(text)
    return known


def _why(wanted: str, asked: str, final: Mapping[str, str], known: Mapping[str, _Option]) -> str:
    if asked == "m" and final.get(wanted) == "y" and final.get("CONFIG_MODULES", OFF) == OFF:
        return "it is built in, because CONFIG_MODULES is not set"
    name = wanted.removeprefix("CONFIG_")
    option = known.get(name)
    if option is None:
        return _UNKNOWN
    if option.has(Fact.UNDEFINED):
        return "this source does not define it"
    if asked == OFF:
        return _why_on(name, option, known)
    if option.has(Fact.NEEDS):
        return f"it depends on {_chain(name, known, {name})}"
    if option.has(Fact.CHOSEN):
        return f"{_options(option[Fact.CHOSEN], 'and')} is chosen in its place"
    if option.has(Fact.HIDDEN):
        return f"no configuration can set it{_selectors(option)}"
    if option.has(Fact.RANGE):
        return f"it must be in {' and in '.join(option[Fact.RANGE])}"
    return _UNKNOWN


def _why_on(name: str, option: _Option, known: Mapping[str, _Option]) -> str:
    """Why an option is on that was to be off."""
    if option.has(Fact.SELECTED):
        selecting = option[Fact.SELECTED]
        verb = "selects" if len(selecting) == 1 else "select"
        return f"{_options(selecting, 'and')} {verb} it"
    if option.has(Fact.NEEDS):
        needs = " and on ".join(_part(need, known, set()) for need in option[Fact.NEEDS])
        return f"to switch it off depends on {needs}"
    if name in option[Fact.CHOSEN]:
        return "it is what is chosen if no other of its choice is set"
    if option.has(Fact.HIDDEN):
        return "no configuration can set it; its default is on"
    return _UNKNOWN


def _chain(name: str, known: Mapping[str, _Option], met: set[str]) -> str:
    """What an option depends on that fails, and what that depends on."""
    return " and on ".join(_part(need, known, met) for need in known[name][Fact.NEEDS])


def _part(need: str, known: Mapping[str, _Option], met: set[str]) -> str:
    single = _SINGLE.fullmatch(need)
    if single is None:
        return need
    name, value = single[1], single[2]
    if name in _CONSTANTS:
        return "a test of the compiler or of another tool, which failed"
    text = f"CONFIG_{name}, which is {configuration.spoken(value)}"
    option = known.get(name)
    if option is None or name in met:
        return text
    if option.has(Fact.NEEDS):
        return f"{text} and depends on {_chain(name, known, {*met, name})}"
    return text + (_selectors(option) if option.has(Fact.HIDDEN) else "")


def _selectors(option: _Option) -> str:
    names, conditions = option[Fact.SELECTOR], option[Fact.CONDITION]
    if conditions:
        return f" (an option selects it if {' and '.join(conditions)})"
    if not names:
        return ""
    return f" ({_options(names, 'or')} selects it)"


def _options(names: list[str], word: str, most: int = 4) -> str:
    """``CONFIG_A, CONFIG_B or CONFIG_C``; beyond ``most``, their number."""
    shown = [f"CONFIG_{name}" for name in names]
    if len(shown) > most:
        return f"{', '.join(shown[:most])} {word} {len(shown) - most} more"
    return f" {word} ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
