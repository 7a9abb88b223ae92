"""The lines below the fields of a class, as descriptions in a JSON Schema.

pydantic can do that itself (``use_attribute_docstrings``), but then it reads the sources whenever
a process starts; a schema is asked for once in a while.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any


def described(schema: dict[str, Any], class_of: Callable[[str], type | None]) -> dict[str, Any]:
    """``schema``, in which each field has its description.

    ``class_of`` gives the class of a definition by its name, or None; that of "" is the whole.
    """
    parts = {"": schema, **schema.get("$defs", {})}
    for name, part in parts.items():
        cls = class_of(name)
        docs = {} if cls is None else _docs(cls)
        for field, told in part.get("properties", {}).items():
            if field in docs:
                told.setdefault("description", docs[field])
                part["properties"][field] = dict(sorted(told.items()))
    return schema


def _docs(cls: type) -> dict[str, str]:
    """The descriptions of the fields of a class, with those that it inherits."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        module = inspect.getmodule(each)
        if module is not None and module.__name__.startswith("harness."):
            found |= _of_module(module).get(each.__name__, {})
    return found


@cache
def _of_module(module: ModuleType) -> dict[str, dict[str, str]]:
    """For each class of a module, its fields with the string that follows them."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for field, doc in pairwise(node.body):
            match field, doc:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    fields[name] = inspect.cleandoc(text)
    return found
