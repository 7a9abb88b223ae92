"""A dump tool of the user's own, as a row in a TOML file; docs/tools.md describes it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.dump_tools.table import TOOLS, UNKNOWN
from harness.dump_tools.tool import ORDERLY, DumpTool, End, Need
from harness.s390x.disk_layout import DiskLayout
from harness.schema_words import UNKNOWN_KEY, did_you_mean, first_fault, typos_first

_LONGEST = 1000  # characters of a pattern


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(_pattern)]
InRamdisk = Annotated[str, Field(pattern=r"^(/[\w+-][\w.+-]*)*$")]


class NeedRow(BaseModel):
    """An option of the kernel that the tool needs, without ``CONFIG_``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    option: str = Field(pattern=r"^[A-Z0-9_]+$")
    why: str = Field(min_length=1)
    instead: tuple[str, ...] = ()
    essential: bool = True


class Row(BaseModel):
    """The fields of ``DumpTool``; ``lists`` are relative to the row's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.+-]{1,40}$")
    lists: tuple[str, ...] = ()
    lists_for_files: tuple[str, ...] = ()
    takes_program: bool = False
    formats: dict[str, str] = dict(UNKNOWN.formats)
    layouts: frozenset[DiskLayout] = frozenset(DiskLayout)
    success: Pattern | None = None
    failure: Pattern | None = None
    ends: frozenset[End] = ORDERLY
    parameters_file: InRamdisk = ""
    own_parameters: str = ""
    memory: Pattern | None = None
    rate: Pattern | None = None
    progress: Pattern | None = None
    needs: tuple[NeedRow, ...] = ()

    def tool(self, beside: Path = Path()) -> DumpTool:
        """The tool of the row; its lists are looked for in the directory ``beside``."""
        return replace(
            UNKNOWN,
            name=self.name,
            lists=tuple(str((beside / name).absolute()) for name in self.lists),
            lists_for_files=tuple(str((beside / name).absolute()) for name in self.lists_for_files),
            takes_program=self.takes_program,
            formats=self.formats,
            layouts=self.layouts,
            success=_compiled(self.success),
            failure=_compiled(self.failure),
            ends=self.ends,
            parameters_file=self.parameters_file,
            own_parameters=self.own_parameters,
            memory=_compiled(self.memory),
            rate=_compiled(self.rate),
            progress=_compiled(self.progress),
            needs=tuple(Need(**need.model_dump()) for need in self.needs),
        )


def recorded(row: Row) -> DumpTool:
    """The tool that evidence names: one that comes with the harness, or the row itself."""
    return (TOOLS | {UNKNOWN.name: UNKNOWN}).get(row.name) or row.tool()


def row_fault(error: ValidationError) -> str:
    """The field of a row and what is wrong with it; misspelt names come first."""
    fault = typos_first(error)[0]
    if fault["type"] != UNKNOWN_KEY:
        return first_fault(error)
    *table, key = map(str, fault["loc"])
    near = did_you_mean(key, (NeedRow if table else Row).model_fields)
    return first_fault(error) + (f"; {near}" if near else "")


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return None if pattern is None else re.compile(pattern)
