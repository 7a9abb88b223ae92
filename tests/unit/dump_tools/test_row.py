"""A user's row for a dump tool."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.dump_tools.row import Row, recorded
from harness.dump_tools.table import S390_TOOLS, TOOLS, UNKNOWN, ZFCPDUMP
from harness.dump_tools.tool import End, Parameters, Said
from harness.errors import UsageError
from harness.run.inputs.dump_tool import ChosenTool
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.model import Dump

TEXT = """
name = "mine"
lists = ["mine.list"]
takes_program = true
formats = { elf = "", s390 = "form=s390" }
layouts = ["partition"]
success = "^all written"
failure = "^sorry"
ends = ["disabled-wait"]
parameters_file = "/etc/mine.conf"
own_parameters = "mine_"
needs = [{ option = "XFS_FS", why = "it writes there" }]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def test_a_row_becomes_a_tool(file: Path):
    tool = ChosenTool.of(Dump(tool=str(file))).tool
    assert tool.lists == (str(file.parent / "mine.list"),)
    assert tool.result("all written") is Said.COMPLETE
    assert tool.result("sorry, all written") is Said.FAILED
    assert tool.ends == {End.DISABLED_WAIT}
    assert tool.takes_program
    assert tool.needs[0].option == "XFS_FS"
    told = tool.parameters("s390", DiskLayout.PARTITION, "quiet mine_x=1")
    assert told == Parameters("quiet", "form=s390 mine_x=1")
    with pytest.raises(UsageError, match="mine writes no dump to layout ext4"):
        tool.parameters("elf", DiskLayout.EXT4)


def test_of_a_given_program_alone_it_is_the_tool_of_s390_tools():
    chosen = ChosenTool.of(Dump(program=Path("zfcpdump")))
    assert chosen.tool is S390_TOOLS
    assert ChosenTool.of(Dump(tool="zfcpdump", program=Path("x"))).tool is ZFCPDUMP
    with pytest.raises(ValidationError, match="program: a whole ramdisk is given"):
        Dump(program=Path("zfcpdump"), initramfs=Path("ramdisk"))


def test_evidence_has_the_row(file: Path):
    kept = ChosenTool.of(Dump(tool=str(file))).to_json()
    again = recorded(Row.model_validate(kept))
    assert again.success == re.compile("^all written")
    assert again.ends == {End.DISABLED_WAIT}


@pytest.mark.parametrize("name", TOOLS)
def test_evidence_names_a_tool_that_comes_with_the_harness(name: str):
    chosen = ChosenTool.of(Dump(tool=name, hsa_size=64 << 20))
    assert chosen.to_json() == {"name": name}
    assert recorded(Row.model_validate(chosen.to_json())) is TOOLS[name]


def test_of_a_given_ramdisk_nothing_is_known():
    chosen = ChosenTool.of(Dump(initramfs=Path("ramdisk.gz")))
    assert chosen.tool is UNKNOWN
    assert recorded(Row.model_validate(chosen.to_json())) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name = ", ":1:8: not TOML: "),
        ("a = " + "[" * 10_000, ": nested too deeply"),
        ("name = 'a b'", ": name: does not have the form "),
        ("name = 'zfcpdump'", ": name: the dump tool zfcpdump comes with the harness"),
        ("name = 'unknown'", ": name: the dump tool unknown comes with the harness"),
        ("name = 'x'\nsucces = 'y'", ": succes: no such key; did you mean 'success'?"),
        ("nam = 'x'", ": nam: no such key; did you mean 'name'?"),
        ("name = 'x'\nxyz = 1", ": xyz: no such key"),
        ("name = 'x'\nformts = { elf = '' }", ": formts: no such key; did you mean 'formats'?"),
        ("name = 'x'\nformats = 'elf'", ": formats: must be a table"),
        ("name = 'x'\nformats = { elf = 1 }", ": formats.elf: must be a text, in quotes"),
        ("name = 'x'\nsuccess = '('", ": success: no regular expression"),
        ("name = 'x'\nends = ['never']", ": ends.0: must be 'power-off', 're-ipl' or "),
        ("name = 'x'\nends = 'power-off'", ": ends: must be a list"),
        ("name = 'x'\nlists = 'mine.list'", ": lists: must be a list"),
        ("name = 'x'\ntakes_program = 'perhaps'", ": takes_program: must be true or false"),
        ("name = 'x'\nlayouts = ['floppy']", ": layouts.0: must be 'partition', "),
        ("name = 'x'\nparameters_file = 'etc'", ": parameters_file: does not have the form "),
        ("name = 'x'\nparameters_file = '/../etc'", ": parameters_file: "),
        (
            "name = 'x'\nneeds = [{ optoin = 'XFS_FS', why = 'it writes there' }]",
            ": needs.0.optoin: no such key; did you mean 'option'?",
        ),
        ("name = 'x'\nneeds = [{ option = 'XFS_FS' }]", ": needs.0.why: is missing"),
        ("success = 'y'", ": name: is missing"),
    ],
)
def test_a_wrong_row_is_refused_by_field(file: Path, text: str, what: str):
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        ChosenTool.of(Dump(tool=str(file)))
    assert caught.value.message.startswith(f"{file}{what}")


def test_a_row_that_is_no_text_is_refused(file: Path):
    file.write_bytes(b"name = '\xff'")
    with pytest.raises(UsageError, match="byte 8 is not UTF-8"):
        ChosenTool.of(Dump(tool=str(file)))


@pytest.mark.parametrize("name", ["zfcpdmp", "/nowhere/x.toml"])
def test_a_tool_that_is_not_there(name: str):
    with pytest.raises(UsageError):
        ChosenTool.of(Dump(tool=name))


def test_a_row_of_evidence_is_checked():
    with pytest.raises(ValidationError):
        Row.model_validate({"name": "x", "success": "a" * 1001})
