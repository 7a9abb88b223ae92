"""Look up a row of a table by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from harness.errors import UsageError
from harness.schema_words import did_you_mean

_Row = TypeVar("_Row")


def named(name: str, what: str, table: Mapping[str, _Row]) -> _Row:
    """The row of ``table`` called ``name``; raises UsageError that lists all rows.

    ``what`` is the word for a row, such as ``trigger``.
    """
    if name in table:
        return table[name]
    hint = did_you_mean(name, table) or f"there are: {', '.join(sorted(table))}"
    raise UsageError(f"no {what} '{name}'", hint=hint)
