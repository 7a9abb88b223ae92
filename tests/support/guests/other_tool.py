"""Another dump tool, with another ramdisk and other messages."""

from __future__ import annotations

import re

from harness.dump_tools.tool import DumpTool

OTHER = DumpTool(
    name="other",
    lists=("/other/tool.list",),
    formats={"elf": "", "lkcd": "format=lkcd"},
    success=re.compile(r"^Dump complete\."),
    failure=re.compile("^Dump "),
    parameters_file="/other/options",
)
