"""Messages about mistakes in a TOML file of the user's, in the words of docs/scenarios.md."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.scenario.model import SECTIONS, ScenarioFile
from harness.scenario.sizes import format_size
from harness.schema_words import UNKNOWN_KEY, did_you_mean, typos_first, words

SIZES = ("memory", "_size")  # how the names of such fields end

_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def located_fault(error: ValidationError) -> tuple[str, str]:
    """The field, with its section, and what is wrong with it; misspelt names come first."""
    fault = typos_first(error)[0]
    names = [str(part) for part in fault["loc"]]
    field = ".".join(names)
    if fault["type"] == UNKNOWN_KEY:
        return field, unknown(names, is_table=isinstance(fault["input"], dict))
    sizes = {}
    if field.endswith(SIZES):
        limits = fault.get("ctx", {})
        sizes = {key: format_size(size) for key, size in limits.items() if isinstance(size, int)}
    what = words(fault, sizes)
    rule = re.fullmatch(r"([\w.]+): (.*)", what)
    if rule and (not field or field in SECTIONS):  # a rule about the whole names its field itself
        return ".".join(filter(None, (field, rule[1]))), rule[2]
    return field, what


def unknown(names: Sequence[str], *, is_table: bool = False) -> str:
    """The message that there is no such section or key, and which one was probably meant.

    ``names`` are section and key, or one of them at the top level of a file.
    """
    *section, key = names
    if is_table and not section:
        near = did_you_mean(key, SECTIONS)
        return "no such section" + (f"; {near}" if near else "")
    model = SECTIONS[section[0]] if section and section[0] in SECTIONS else ScenarioFile
    others = [name for name, each in SECTIONS.items() if key in each.model_fields]
    if others:
        return f"no such key here; it belongs to {' or '.join(f'[{name}]' for name in others)}"
    near = did_you_mean(key, model.model_fields)
    return "no such key" + (f"; {near}" if near else "")


def parsed(path: Path, text: str) -> dict[str, Any]:
    """The TOML in a file; raises UsageError with line and column of an error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column, what = syntax(error, text)
        raise UsageError(f"{path}:{line}:{column}: not TOML: {what}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: nested too deeply") from error


def syntax(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, int, str]:
    """Line and column (from 1) of a TOML error in ``text``, and what is wrong there.

    Before Python 3.14 the place is only in the message.
    """
    found = _PLACE.fullmatch(str(error))
    lines = text.splitlines() or [""]
    what = found[1] if found else str(error)
    if found and found[2]:
        return int(found[2]), int(found[3]), what
    return len(lines), len(lines[-1]) + 1, what
