"""The templates: one base, and what all of them need. Everything is escaped and made plain."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from harness import __version__
from harness.printable import printable


def render(name: str, **values: Any) -> str:
    """The page that the template ``name`` makes of ``values``."""
    return _environment().get_template(name).render(version=__version__, **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.results.page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = _plain
    return environment


def _plain(text: str, limit: int | None = None) -> str:
    return printable(text, limit=limit)
