"""Fields of the schema that have an option on the command line.

A field says so itself, with an ``Option`` in its annotation. Commands, their help, the commands
that a report tells to repeat a run, and the names in messages all follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Option:
    """Marks a field that ``name`` overrides; ``help`` is a sentence of the command's help.

    ``path``: it may name a file or a directory, which is looked for in the working directory. If
    there is a ``suffix``, only a word that ends so does; if there is a ``part``, only a word with
    it. Others are names, and so is what matches ``words`` (a regular expression).
    """

    name: str
    help: str
    path: bool = False
    suffix: str = ""
    part: str = ""
    words: str = ""
    of_kernel: bool = False  # the help has these options behind those of the machine


@dataclass(frozen=True)
class Written:
    """Marks a type that people write in a form of its own; ``parse`` raises ValueError."""

    parse: Callable[[str], object]
    show: Callable[[Any], str]
    metavar: str


@dataclass(frozen=True)
class FieldOption:
    """A field that has an option. ``type`` is that of one value; ``many`` may be given."""

    section: str
    field: str
    option: Option
    type: Any
    many: bool
    written: Written | None

    @property
    def name(self) -> str:
        """As users write it: ``--hsa-size``."""
        return self.option.name

    @property
    def parameter(self) -> str:
        """As Python writes it: ``hsa_size``."""
        return self.name.removeprefix("--").replace("-", "_")

    def names_path(self, word: str) -> bool:
        """Whether ``word`` may name a file or a directory."""
        option = self.option
        if option.words and re.fullmatch(option.words, word):
            return False
        return option.path and word.endswith(option.suffix) and option.part in word

    def words(self, value: Any, show: Callable[[Any], str]) -> Iterator[str]:
        """The option with its values as a command line has it; ``show`` writes one value."""
        if self.type is bool:
            yield from (self.name,) if value else ()
            return
        for each in value if self.many else (value,):
            yield from (self.name, show(each))

    @property
    def key(self) -> tuple[str, str]:
        return self.section, self.field


def options_of(sections: Mapping[str, type[BaseModel]]) -> tuple[FieldOption, ...]:
    """All options of these models, in the order in which a command's help shows them."""
    found = [
        option
        for section, model in sections.items()
        for field in model.model_fields
        if (option := _option_of(section, field, model)) is not None
    ]
    return tuple(sorted(found, key=lambda each: each.option.of_kernel))


def _option_of(section: str, field: str, model: type[BaseModel]) -> FieldOption | None:
    info = model.model_fields[field]
    marks = list(info.metadata)
    kind = _bare(info.annotation, marks)
    many = get_origin(kind) is tuple
    if many:
        kind = _bare(get_args(kind)[0], marks)
    option = next((mark for mark in marks if isinstance(mark, Option)), None)
    written = next((mark for mark in marks if isinstance(mark, Written)), None)
    if option is None:
        return None
    return FieldOption(section, field, option, kind, many, written)


def _bare(hint: Any, marks: list[Any]) -> Any:
    """A type without None and annotations; adds these to ``marks``."""
    while True:
        if get_origin(hint) is Annotated:
            marks += hint.__metadata__
            hint = hint.__origin__
        elif get_origin(hint) in (Union, UnionType):
            (hint,) = (each for each in get_args(hint) if each is not NoneType)
        else:
            return hint
