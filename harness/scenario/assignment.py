"""Fields of a scenario that are set by their names: ``section.field=value``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from typing import Any

from harness.scenario.model import section_of


def assigned(words: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Section -> field -> value of each of ``words``; of two for the same field the last counts.

    A value that is TOML, such as 3, true or ["a", "b"], is what it says; any other is a text.
    Raises ValueError, in words for the user.
    """
    values: dict[str, dict[str, Any]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"'{word}' sets nothing; write section.field=value")
        try:
            section, field = section_of(name.strip())
        except ValueError as error:
            raise ValueError(f"'{name.strip()}': {error}") from None
        values.setdefault(section, {})[field] = _value(value)
    return values


def assignment(section: str, field: str, value: Any) -> str:
    """The inverse for one field; ``value`` as it is in JSON."""
    return f"{section}.{field}={value if isinstance(value, str) else json.dumps(value)}"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return text
