"""Messages about faults that a schema finds; pydantic's own words never reach a user.

The types of errors and their contexts: pydantic documentation, "Validation Errors".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

UNKNOWN_KEY = "extra_forbidden"

# by the type of the error; {NAME} is a value of its context
_WORDS = {
    UNKNOWN_KEY: "no such key",
    "missing": "is missing",
    "string_type": "must be a text, in quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "string_unicode": "is not valid Unicode",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "path_type": "must be a path, in quotes",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dataclass_type": "must be a table",
    "too_long": "has more than {max_length} entries",
    "too_short": "has fewer than {min_length} entries",
    "union_tag_invalid": "'{tag}' is no {discriminator} that is known here",
    "union_tag_not_found": "has no {discriminator}",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
OTHER = "is not what is allowed here"


def typos_first(error: ValidationError) -> list[ErrorDetails]:
    """All faults, unknown keys first, because a missing key may be a misspelt one."""
    return sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != UNKNOWN_KEY)


def words(fault: ErrorDetails, say: Mapping[str, Any] | None = None) -> str:
    """The message about a fault; ``say`` replaces values of the fault's context."""
    context: Mapping[str, Any] = {**fault.get("ctx", {}), **(say or {})}
    return _WORDS.get(fault["type"], OTHER).format_map(context)


def first_fault(error: ValidationError) -> str:
    """The first fault that a shape does not allow: where it is, and what is wrong."""
    fault = typos_first(error)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {words(fault)}" if where else words(fault)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A question that names the entry of ``known`` most like ``name``; None if there is none."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else None
