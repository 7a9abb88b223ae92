"""The table of dump tools."""

from __future__ import annotations

import re

from harness.dump_tools.tool import DumpTool

_RESULT = "zfcpdump result: "

# images/dump/zfcpdump; docs/dump-tool.md
ZFCPDUMP = DumpTool(
    name="zfcpdump",
    lists=("dump/zfcpdump.list",),
    lists_for_files=("dump/e2fsck.list",),
    parameters_list="dump/parameters.list",
    formats={
        "elf": "",
        "s390": "dump_format=s390",
        "s390_ext": "dump_format=s390 dump_compress=gzip",
    },
    result=_RESULT,
    success=re.compile(r"ok( |$)"),
    memory=re.compile(r"zfcpdump: ([\d.]+) MB memory available"),
    rate=re.compile(rf"{_RESULT}ok .* ([\d.]+) MB/s"),
    progress=re.compile(r"zfcpdump: \d+ of \d+ MB"),
)
