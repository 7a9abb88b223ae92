"""Scenarios that are the cells of one matrix, as a table of its two fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CELL = re.compile(r"([^\[]+)\[(.+)\]")
_FIELD = re.compile(r"\w+=[^=]+")


@dataclass(frozen=True)
class Matrix:
    """``cells`` are names of scenarios by the values of ``down`` and ``across``."""

    name: str
    down: str
    across: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], str]


def matrices(names: Iterable[str]) -> Iterator[Matrix]:
    """Each matrix of exactly two fields; scenarios of other matrices are left out."""
    grouped: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        if (match := _CELL.fullmatch(name)) and (fields := _fields(match[2])):
            grouped.setdefault(match[1], {})[name] = fields
    for name, cells in grouped.items():
        keys = {tuple(fields) for fields in cells.values()}
        if len(keys) != 1 or len(only := next(iter(keys))) != 2:
            continue
        down, across = only
        rows = tuple(dict.fromkeys(fields[down] for fields in cells.values()))
        columns = tuple(dict.fromkeys(fields[across] for fields in cells.values()))
        if len(rows) > 1 and len(columns) > 1:
            places = {(fields[down], fields[across]): cell for cell, fields in cells.items()}
            yield Matrix(name, down, across, rows, columns, places)


def _fields(text: str) -> dict[str, str]:
    """``a=1,b=2`` by its keys; empty if the text is anything else, such as a list with commas."""
    parts = text.split(",")
    if not all(map(_FIELD.fullmatch, parts)):
        return {}
    return dict(part.split("=", 1) for part in parts)
