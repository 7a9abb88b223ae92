"""Each row fits its tool: the files of its ramdisk exist, and the tool knows its parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.dump_tools.table import S390_TOOLS, TOOLS, UNKNOWN, ZFCPDUMP
from harness.dump_tools.tool import Parameters, Said
from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.images.initramfs import cpio
from harness.images.initramfs.build import cpio_of
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat
from tests.support.guests.dump_tool import tool
from tests.support.guests.other_tool import OTHER

FILES = [layout for layout in DiskLayout if layout.is_file_system]


def test_ours_writes_every_format_of_the_schema():
    assert ZFCPDUMP.formats.keys() == set(DumpFormat)


@pytest.mark.parametrize("form", DumpFormat)
def test_ours_understands_what_asks_for_a_format(form):
    known = tool.Parameters(ZFCPDUMP.formats[form])
    assert known.complaints == []
    written = {("elf", "none"): "elf", ("s390", "none"): "s390", ("s390", "gzip"): "s390_ext"}
    assert written[known.format or "elf", known.compress] == form


@pytest.mark.parametrize("layout", DiskLayout)
def test_the_lists_of_ours_are_there(layout):
    for name in ZFCPDUMP.ramdisk_lists(layout):
        assert (data_dir() / "images" / name).is_file()


def test_the_list_for_the_program_of_s390_tools(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(b"shell")
    (tmp_path / "zfcpdump").write_bytes(b"program")
    variables = {"ROOT": str(tmp_path), "PROGRAM": str(tmp_path / "zfcpdump")}
    lists = S390_TOOLS.ramdisk_lists(DiskLayout.PARTITION)
    found = {each.name: each for each in cpio.entries(cpio_of(lists, variables))}
    assert found["zfcpdump"].data == b"program"
    assert b"exec /zfcpdump" in found["init"].data
    # 15 partitions of the first SCSI disk: Documentation/admin-guide/devices.txt
    assert [found[f"dev/sda{n}"].device for n in range(1, 16)] == [(8, n) for n in range(1, 16)]


@pytest.mark.parametrize("layout", DiskLayout)
def test_only_file_systems_need_e2fsck(layout):
    lists = ZFCPDUMP.ramdisk_lists(layout)
    assert ("dump/e2fsck.list" in lists) == (layout is not DiskLayout.PARTITION)
    assert lists[0] == "dump/zfcpdump.list"


@pytest.mark.parametrize("layout", FILES)
def test_on_a_file_system_the_parmline_has_the_format(layout):
    assert ZFCPDUMP.parameters("s390", layout) == Parameters(parmline="dump_format=s390")
    assert OTHER.parameters("lkcd", layout) == Parameters(parmline="format=lkcd")


def test_on_a_partition_the_ramdisk_has_the_format():
    layout = DiskLayout.PARTITION
    assert ZFCPDUMP.parameters("s390", layout) == Parameters(ramdisk="dump_format=s390")
    assert ZFCPDUMP.parameters("elf", layout) == Parameters()


@pytest.mark.parametrize("layout", FILES)
def test_on_a_file_system_the_parmline_has_all_parameters(layout):
    told = ZFCPDUMP.parameters("s390", layout, "quiet dump_mem=65536")
    assert told == Parameters(parmline="dump_format=s390 quiet dump_mem=65536")


def test_on_a_partition_the_ramdisk_has_the_tools_own_parameters():
    told = ZFCPDUMP.parameters("s390", DiskLayout.PARTITION, "quiet dump_mem=65536")
    assert told == Parameters("quiet", "dump_format=s390 dump_mem=65536")
    for other in (OTHER, replace(ZFCPDUMP, parameters_file="")):
        told = other.parameters("elf", DiskLayout.PARTITION, "dump_mem=65536")
        assert told == Parameters("dump_mem=65536", "")


def test_a_format_that_a_tool_does_not_write_is_refused():
    with pytest.raises(UsageError, match="the dump tool other writes no s390 dump") as caught:
        OTHER.parameters("s390", DiskLayout.PARTITION)
    assert caught.value.hint == "it writes: elf, lkcd"


def test_a_tool_that_reads_no_file_cannot_be_asked_on_a_partition():
    other = replace(OTHER, parameters_file="")
    assert other.parameters("lkcd", FILES[0]) == Parameters(parmline="format=lkcd")
    assert other.parameters("elf", DiskLayout.PARTITION) == Parameters()
    with pytest.raises(UsageError, match="cannot be asked for a lkcd dump on a partition"):
        other.parameters("lkcd", DiskLayout.PARTITION)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("zfcpdump result: ok", Said.COMPLETE),
        ("zfcpdump result: ok 4 MB in 0.1 s", Said.COMPLETE),
        ("zfcpdump result: okay", Said.FAILED),
        ("zfcpdump result: failed: ok", Said.FAILED),
        ("zfcpdump result: ", Said.FAILED),
        (" zfcpdump result: ok", None),
        ("zfcpdump result", None),
        ("Dump complete.", None),
    ],
)
def test_our_tools_result_lines(line, said):
    assert ZFCPDUMP.result(line) is said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Dump complete.", Said.COMPLETE),
        ("Dump failed", Said.FAILED),
        ("zfcpdump result: ok", None),
    ],
)
def test_another_tools_result_lines(line, said):
    assert OTHER.result(line) is said


def test_ours_tells_its_memory_and_its_rate():
    log = "zfcpdump: 12.5 MB memory available\nzfcpdump result: ok 512 MB in 2.0 s, 256.0 MB/s\n"
    numbers = [pattern.search(log) for pattern in (ZFCPDUMP.memory, ZFCPDUMP.rate) if pattern]
    assert [found and found[1] for found in numbers] == ["12.5", "256.0"]


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("zfcpdump: 100 of 512 MB, 19 %, 90.1 MB/s, 5 s left", True),
        ("zfcpdump: 12.5 MB memory available", False),
        ("other: zfcpdump: 100 of 512 MB", False),
    ],
)
def test_our_tools_progress_lines(line, progress):
    assert ZFCPDUMP.is_progress(line) is progress
    assert not OTHER.is_progress(line)


def test_progress_of_our_tool_is_recognised(capfd):
    tool.output.Progress(512_000_000).show()
    (line,) = capfd.readouterr().out.splitlines()
    assert ZFCPDUMP.is_progress(line)


@pytest.mark.parametrize("line", ["", "ok", "zfcpdump result: ok", "Dump failed"])
def test_of_an_unknown_tool_no_line_is_a_result(line):
    assert UNKNOWN.result(line) is None
    assert not UNKNOWN.reports
    assert {tool.reports for tool in TOOLS.values()} == {True}


def test_a_layout_to_which_a_tool_does_not_write_is_refused():
    with pytest.raises(UsageError, match="s390-tools writes no dump to layout ext4") as caught:
        S390_TOOLS.parameters("elf", DiskLayout.EXT4)
    assert caught.value.hint == "it writes to: partition"
