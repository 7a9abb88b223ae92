"""The dump tool of a plan: one that comes with the harness, or a user's row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.dump_tools.row import Row, row_fault
from harness.dump_tools.table import S390_TOOLS, TOOLS, UNKNOWN, ZFCPDUMP, tool_named
from harness.dump_tools.tool import DumpTool
from harness.errors import UsageError
from harness.host.fault import unusable
from harness.host.paths import require_file
from harness.scenario.faults import parsed
from harness.scenario.model import Dump

SUFFIX = ".toml"
NAMES = tuple(TOOLS)  # of those that come with the harness


@dataclass(frozen=True)
class ChosenTool:
    """A dump tool, and the row that the evidence keeps of it."""

    tool: DumpTool
    row: Row

    @classmethod
    def of(cls, dump: Dump) -> ChosenTool:
        """The tool that ``dump`` names; raises UsageError for one that is not there.

        A given program without a named tool is that of s390-tools. A given ramdisk or disk without
        one is one of which nothing is known.
        """
        if dump.tool is None:
            given = UNKNOWN if dump.initramfs or dump.disk else ZFCPDUMP
            tool = S390_TOOLS if dump.program else given
            return cls(tool, Row(name=tool.name))
        if not dump.tool.endswith(SUFFIX):
            return cls(tool_named(dump.tool), Row(name=dump.tool))
        row = _read(Path(dump.tool))
        return cls(row.tool(Path(dump.tool).parent), row)

    def parmline(self, dump: Dump) -> str:
        """The parameters of ``dump``, with the number of its partition if the tool must know it."""
        told = self.tool.destination(dump.parmline).partition
        if dump.partition == 1 or told is not None or not self.tool.partition_parameter:
            return dump.parmline
        if not dump.layout.is_file_system:  # the superblock tells it
            return dump.parmline
        return f"{self.tool.partition_parameter}{dump.partition} {dump.parmline}".strip()

    def to_json(self) -> dict[str, Any]:
        """For the evidence: only what is not the default."""
        return self.row.model_dump(mode="json", exclude_defaults=True)


def _read(path: Path) -> Row:
    require_file(path, "dump tool")
    try:
        row = Row.model_validate(parsed(path, path.read_text(encoding="utf-8")))
    except OSError as error:
        raise unusable(str(path), error) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {row_fault(error)}", hint="docs/tools.md") from error
    if row.name in TOOLS or row.name == UNKNOWN.name:
        raise UsageError(f"{path}: name: the dump tool {row.name} comes with the harness")
    return row
