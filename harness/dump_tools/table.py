"""The table of dump tools."""

from __future__ import annotations

import re

from harness.dump_tools.destination import destination
from harness.dump_tools.dump_mem import dump_mem
from harness.dump_tools.tool import DumpTool, End, Need
from harness.errors import UsageError
from harness.s390x.disk_layout import DiskLayout
from harness.schema_words import did_you_mean

_RESULT = "zfcpdump result: "
_GPT = ("EFI_PARTITION",)
_ELF = Need("BINFMT_ELF", "programs are ELF files")
_SYSFS = Need("SYSFS", "the tool learns there from which disk the dump system was loaded")

# images/dump/zfcpdump; docs/dump-tool.md
ZFCPDUMP = DumpTool(
    name="zfcpdump",
    lists=("dump/zfcpdump.list",),
    lists_for_files=("dump/e2fsck.list",),
    parameters_file="/etc/zfcpdump.conf",
    own_parameters="dump_",
    limit=dump_mem,
    destination=destination,
    partition_parameter="dump_part=",
    formats={
        "elf": "",
        "s390": "dump_format=s390",
        "s390_ext": "dump_format=s390 dump_compress=gzip",
    },
    success=re.compile(rf"^{_RESULT}ok( |$)"),
    failure=re.compile(f"^{_RESULT}"),
    memory=re.compile(r"zfcpdump: ([\d.]+) MB memory available"),
    rate=re.compile(rf"{_RESULT}ok .* ([\d.]+) MB/s"),
    progress=re.compile(r"zfcpdump: \d+ of \d+ MB"),
    released_early=re.compile(
        rf"{_RESULT}failed: cannot read memory at (0x[0-9a-f]+) after the HSA was released"
    ),
    needs=(
        _ELF,
        Need("BINFMT_SCRIPT", "/init begins with #!"),
        Need(
            "DEVTMPFS",
            "without it there are only nodes for the first SCSI disk, those of the ramdisk",
            essential=False,
        ),
        Need("FUTEX", "Python's locks"),
        Need("PROC_VMCORE", "the tool reads /proc/vmcore, or zcore/mem", ("ZFCPDUMP",)),
        Need("RD_GZIP", "the ramdisk of the harness is compressed with gzip"),
        _SYSFS,
        Need(
            "MULTIUSER",
            "without it system calls such as getuid fail, which Python's library does not expect",
            essential=False,
        ),
    ),
)

# The program of s390-tools: zfcpdump/zfcpdump.c, zfcpdump_part.c, cpioinit.c, Makefile (2.40). It
# does not come with the harness; images/dump/genuine lets it run without an FCP channel.
S390_TOOLS = DumpTool(
    name="s390-tools",
    lists=("dump/genuine/genuine.list",),
    takes_program=True,
    formats={"elf": ""},
    layouts=frozenset({DiskLayout.PARTITION}),
    success=re.compile("^Dump successful"),
    failure=re.compile("^Dump failed"),
    progress=re.compile(r" *\d+ of \d+ MB"),
    needs=(
        _ELF,
        Need("MSDOS_PARTITION", "the tool looks for the dump partition among the disk's", _GPT),
        Need("PROC_VMCORE", "the tool reads /proc/vmcore"),
        Need("RD_GZIP", "its ramdisk is compressed with gzip"),
        _SYSFS,
        Need("ZFCP", "the tool sets the FCP channel and the disk online in the driver's files"),
    ),
)

# A ramdisk that the user gives, and of which nothing is known: what is on the disk decides.
UNKNOWN = DumpTool(
    name="unknown", lists=(), formats=dict.fromkeys(ZFCPDUMP.formats, ""), ends=frozenset(End)
)

TOOLS = {tool.name: tool for tool in (ZFCPDUMP, S390_TOOLS)}


def tool_named(name: str) -> DumpTool:
    """Raises UsageError if there is none of this name."""
    if name not in TOOLS:
        hint = did_you_mean(name, TOOLS) or f"there are: {', '.join(TOOLS)}; a file ends in .toml"
        raise UsageError(f"there is no dump tool '{name}'", hint=hint)
    return TOOLS[name]
