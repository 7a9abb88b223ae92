"""A marked field of the schema has its option without any other change."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from harness.scenario.fields import Size
from harness.scenario.model import OPTIONS, SECTIONS, Dump
from harness.scenario.options import FieldOption, Option, options_of
from harness.scenario.sizes import format_size, parse_size
from harness.scenario.strict import Strict


class Colour(StrEnum):
    RED = "red"


class Machine(Strict):
    unmarked: int = 1
    core: Annotated[Path | None, Option("--core-file", "A file.", path=True, of_kernel=True)] = None
    speed: Annotated[int, Option("--speed", "A number.")] = 1
    colours: Annotated[tuple[Colour, ...], Option("--colour", "One of them.")] = ()
    room: Annotated[Size | None, Option("--room", "A size.")] = None


def test_a_marked_field_has_its_option():
    speed, colour, room, core = options_of({"machine": Machine})
    assert speed == FieldOption(
        "machine", "speed", Option("--speed", "A number."), int, many=False, written=None
    )
    assert (core.parameter, core.key, core.type) == ("core_file", ("machine", "core"), Path)
    assert (colour.type, colour.many) == (Colour, True)
    assert room.type is int
    assert room.written is not None
    assert (room.written.parse, room.written.show) == (parse_size, format_size)


def test_an_option_is_written_as_a_command_line_has_it():
    options = {option.name: option for option in OPTIONS}
    assert list(options["--smp"].words(2, str)) == ["--smp", "2"]
    patches = ["--dump-patch", "a", "--dump-patch", "b"]
    assert list(options["--dump-patch"].words(("a", "b"), str)) == patches
    assert list(options["--built-in"].words(True, str)) == ["--built-in"]
    assert list(options["--built-in"].words(False, str)) == []


def test_an_option_overrides_one_field():
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    assert len({option.parameter for option in OPTIONS}) == len(OPTIONS)
    assert {option.section for option in OPTIONS} < set(SECTIONS)


def test_every_field_of_a_dump_has_its_option():
    """Or a report could not tell the command that dumps a crash in the same way again."""
    with_option = {option.field for option in OPTIONS if option.section == "dump"}
    assert with_option == Dump.model_fields.keys()
