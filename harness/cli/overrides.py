"""Options that override fields of a scenario: a command has those that the schema marks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import completion
from harness.errors import UsageError
from harness.scenario.assignment import assigned
from harness.scenario.model import OPTIONS
from harness.scenario.options import FieldOption, Written

Overrides = Mapping[str, Mapping[str, Any]]  # section -> field -> value; None if not given

_PARAMETER = "overrides"
_COMPLETIONS = {
    "--dump-patch": completion.patch,
    "--dump-tool": completion.dump_tool,
    "--zipl": completion.zipl,
    "--trigger": completion.trigger,
    "--workload": completion.workload,
}
# the dump tool, and what it is asked for
OF_TOOL = (
    *("--dump-tool", "--dump-initramfs", "--dump-program", "--dump-parmline"),
    *("--disk-layout", "--dump-format"),
)


def overriding(
    *sections: str, only: Collection[str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these sections, in place of its parameter ``overrides``.

    The parameter gets their values as ``Overrides``. ``only`` names those that there are if not
    all are wanted.
    """
    chosen = [
        option
        for option in OPTIONS
        if option.section in sections and (only is None or option.name in only)
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_overrides(**given: Any) -> Any:
            overrides: dict[str, dict[str, Any]] = {section: {} for section in sections}
            for option in chosen:
                value = given.pop(option.parameter)
                overrides[option.section][option.field] = None if value == [] else value
            return command(**given, **{_PARAMETER: overrides})

        signature = inspect.signature(command, eval_str=True)
        parameters = [*_replaced(signature, chosen)]
        with_overrides.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=parameters
        )
        return with_overrides

    return decorate


def with_assigned(overrides: Overrides, words: Iterable[str]) -> Overrides:
    """Add the fields that ``--set`` names; an option for the same field counts less."""
    try:
        values = assigned(words)
    except ValueError as error:
        raise UsageError(f"--set {error}", hint="docs/scenarios.md has all fields") from None
    sections = {**{section: {} for section in values}, **overrides}
    return {name: {**fields, **values.get(name, {})} for name, fields in sections.items()}


def _replaced(
    signature: inspect.Signature, chosen: Collection[FieldOption]
) -> Iterator[inspect.Parameter]:
    for parameter in signature.parameters.values():
        if parameter.name == _PARAMETER:
            yield from map(_parameter, chosen)
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _parameter(option: FieldOption) -> inspect.Parameter:
    """For Typer. Of a path it checks nothing: a file that cannot be read is no usage error."""
    settings: dict[str, Any] = {"help": option.option.help}
    if option.name in _COMPLETIONS:
        settings["autocompletion"] = _COMPLETIONS[option.name]
    if option.written is not None:
        settings |= {"parser": _parser(option.written), "metavar": option.written.metavar}
    if option.type is Path:
        settings["readable"] = False
    kind: Any = list[option.type] if option.many else option.type  # type: ignore[name-defined]
    annotation: Any = Annotated[kind | None, typer.Option(option.name, **settings)]
    return inspect.Parameter(
        option.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _parser(written: Written) -> Callable[[str], object]:
    def parse(text: str) -> object:
        try:
            return written.parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
