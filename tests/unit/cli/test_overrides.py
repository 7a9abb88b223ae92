"""Commands have an option for each marked field of the schema, and get its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from harness.cli import overrides as cli_overrides
from harness.cli.app import app
from harness.cli.overrides import Overrides, overriding
from harness.scenario.crashed import Crashed
from harness.scenario.fields import Size
from harness.scenario.model import OPTIONS, Dump
from harness.scenario.options import Option, options_of


class NewDump(Dump):
    """A section with a field that only this class has."""

    delay: Annotated[int, Option("--delay", "Seconds before the dump.")] = 0
    room: Annotated[Size | None, Option("--room", "Free memory, such as 512M or 1G.")] = None


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, str]]:
    """Run a command with the options of these sections; returns its values and its output."""
    options = options_of({"crashed": Crashed, "dump": NewDump})
    monkeypatch.setattr(cli_overrides, "OPTIONS", options)

    def call(decorator: Callable[[Callable], Callable], *words: str) -> tuple[Any, str]:
        got: list[Overrides] = []

        def command(name: str = "x", *, overrides: Overrides, late: bool = False) -> None:
            got.append(overrides)

        app = typer.Typer()
        app.command()(decorator(command))
        done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
        return (got[0] if got else None), done.output

    return call


def test_a_new_field_is_an_option_of_a_command_with_its_value(command):
    got, _ = command(overriding("dump"), "--delay", "3", "--room", "1M", "--dump-patch", "a")
    given = {field: value for field, value in got["dump"].items() if value is not None}
    assert given == {"delay": 3, "room": 1 << 20, "patches": ["a"]}


def test_a_new_field_is_in_the_help(command):
    _, printed = command(overriding("crashed", "dump"), "--help")
    assert "Seconds before the dump." in printed
    assert printed.index("--smp") < printed.index("--room") < printed.index("--kernel")
    assert printed.index("--dump-parmline") < printed.index("--late")


def test_an_option_that_is_not_given_is_none(command):
    got, _ = command(overriding("crashed", "dump"))
    assert got.keys() == {"crashed", "dump"}
    assert {value for fields in got.values() for value in fields.values()} == {None}


def test_a_command_may_have_a_few_of_them(command):
    got, _ = command(overriding("crashed", "dump", only=("--memory",)), "--memory", "1G")
    assert got == {"crashed": {"memory": 1 << 30}, "dump": {}}


def test_an_invalid_size_is_refused(command):
    got, printed = command(overriding("dump"), "--room", "much")
    assert got is None
    assert "'much' is no size" in printed


def test_run_and_dump_have_the_same_options_of_a_dump():
    commands: Any = typer.main.get_group(app).commands
    of_dump = {option.name for option in OPTIONS if option.section == "dump"}
    for command in (commands["run"], commands["dump"].commands["snapshot"]):
        assert of_dump <= {name for each in command.params for name in each.opts}
