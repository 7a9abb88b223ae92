"""JSON in files that may come from anybody."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import EvidenceError
from harness.files.plain_file import read_plain
from harness.schema_words import first_fault

MAX_BYTES = 8 << 20  # a verdict with findings for every page of many gigabytes is smaller
MAX_DEPTH = 64
_MAX_INTEGER = 1 << 64

Model = TypeVar("Model", bound=BaseModel)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises EvidenceError, naming the file and what is wrong with it.

    It must be a regular file of at most 8 MiB of UTF-8, with content that :func:`parse_object`
    accepts.
    """
    return parse_object(read_plain(path, MAX_BYTES), path)


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in ``content``, which was read from ``path``; raises EvidenceError.

    These are refused: values that JSON does not have (NaN, Infinity), numbers beyond 64 bits or
    the range of a float, duplicate keys, and more than 64 levels. No genuine evidence has them.
    """
    try:
        document = json.loads(
            content.decode("utf-8"),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except RecursionError as error:
        raise EvidenceError(f"{path}: not JSON that is read here: nested too deeply") from error
    except ValueError as error:
        raise EvidenceError(f"{path}: not JSON that is read here: {error}") from error
    if not isinstance(document, dict):
        raise EvidenceError(f"{path}: holds no JSON object")
    if _is_deeper(document, MAX_DEPTH):
        raise EvidenceError(f"{path}: not JSON that is read here: nested too deeply")
    return document


def as_model(model: type[Model], data: Any, path: Path) -> Model:
    """``data``, which was read from ``path``, as a ``model``; raises EvidenceError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise EvidenceError(f"{path}: {first_fault(error)}") from error


def _integer(text: str) -> int:
    if len(text) > len(str(_MAX_INTEGER)) + 1 or abs(value := int(text)) >= _MAX_INTEGER:
        raise ValueError("a number of more than 64 bits")
    return value


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError("a number too large for a float")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key '{twice}' is there twice")
    return found


def _is_deeper(document: Any, depth: int) -> bool:
    """Whether ``value`` has more than ``depth`` levels."""
    level = [document]
    for _ in range(depth):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)
