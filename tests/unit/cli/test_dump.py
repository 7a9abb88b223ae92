"""``zharness dump``: a stored crash without the name of a command, and the commands on files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from harness.cli.commands.dump.extract import hex_lines
from harness.cli.commands.dump.judge import for_judges
from harness.dump.describe import describe
from harness.dump.detect import open_dump
from harness.dump.formats.table import writers
from harness.errors import ExitCode
from harness.progress import NoProgress
from tests.support.command_line.zharness import command, zharness
from tests.support.disks.ext import add, make_disk
from tests.support.disks.qcow2 import qcow2
from tests.support.evidence import MEMORY, written
from tests.support.kernels.crashed_kernel import PANIC, PREFIXES, CrashedKernel, vmcoreinfo
from tests.support.kernels.vmlinux import vmlinux


@pytest.fixture
def dump_file(tmp_path: Path) -> Path:
    return written(tmp_path / "dump.elf", CrashedKernel().elf())


# the command that needs no name


@pytest.mark.parametrize(
    "arguments",
    [("nosuch",), ("nosuch", "--hsa-size", "64M"), ("--hsa-size", "64M", "nosuch")],
)
def test_a_word_that_is_not_a_command_is_a_snapshot(tmp_path: Path, arguments):
    done = zharness("dump", *arguments, "--store", tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "no snapshot 'nosuch'" in done.stderr


def test_help_shows_the_commands_and_the_options_of_the_one_without_a_name():
    shown = zharness("dump", "--help").stdout
    assert " info " in shown
    assert "--hsa-size" in shown


def test_a_file_is_no_snapshot(dump_file: Path):
    done = zharness("dump", dump_file)
    assert done.returncode == ExitCode.USAGE
    assert f"zharness dump info {dump_file}" in done.stderr


def completed(words: str, **environment: str) -> list[str]:
    count = len(f"{words}.".split()) - 1
    done = zharness(
        _ZHARNESS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count), **environment
    )
    return done.stdout.split()


def test_completion_knows_commands_snapshots_and_options(tmp_path: Path):
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    assert "info" in completed("zharness dump ", **cache)
    assert completed("zharness dump inf", **cache) == ["info"]
    assert "--hsa-size" in completed("zharness dump --hs", **cache)
    assert "--hsa-size" in completed("zharness dump sysrq-c --hs", **cache)
    assert "--json" in completed("zharness dump info --js", **cache)


def test_completion_knows_dump_tools_and_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "more.txt"):
        (tmp_path / name).touch()
    (tmp_path / "my").mkdir()
    (tmp_path / "my/other.toml").touch()
    assert "s390-tools" in completed("zharness run --dump-tool ")
    assert completed("zharness run --dump-tool zf") == ["zfcpdump"]
    assert completed("zharness run --dump-tool m") == ["mine.toml", "my/"]
    assert completed("zharness run --dump-tool my/o") == ["my/other.toml"]
    assert completed(f"zharness run --dump-tool {tmp_path}/mi") == [f"{tmp_path}/mine.toml"]
    assert completed("zharness run --dump-tool nowhere/") == []
    assert completed("zharness config check --tool zf") == ["zfcpdump"]
    assert completed("zharness run --zipl t") == ["trixie"]
    assert completed("zharness run --zipl ./m") == ["./mine.toml", "./more.txt", "./my/"]


# info


def test_info_says_what_the_dump_is(dump_file: Path):
    done = zharness("dump", "info", dump_file)
    assert done.returncode == ExitCode.PASS, done.stderr
    for what in (
        "elf",
        "yes",
        "6.12.1-test",
        "0123456789abcdef",
        PANIC,
        "0x0000000000000000-0x00000000003fffff",
        f"{PREFIXES[1]:08x}",
        "2023-11-14T22:13:20+00:00",
    ):
        assert what in done.stdout


@pytest.fixture
def disk(dump_file: Path, tmp_path: Path) -> Path:
    """A disk on which ngdump was interrupted."""
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.elf", dump_file.read_bytes(), 1000)
    add(disk, "ngdump.meta", b"version=1\nfile=\nsha256sum=\n", 1000)
    return disk


def test_a_file_on_a_disk_is_read_if_it_is_named(disk: Path, tmp_path: Path):
    done = zharness("dump", "info", disk)
    assert done.returncode == ExitCode.ERROR
    assert "--member reads it" in done.stderr
    member = ("--member", "dump.elf")
    info = json.loads(zharness("dump", "info", disk, *member, "--json").stdout)
    assert info["container"].startswith("/dump.elf on sda1 at 0x100000 of a disk")
    assert info["panic"] == PANIC
    assert PANIC in zharness("dump", "extract", disk, "dmesg", *member).stdout
    checked = zharness("dump", "check", disk, *member)
    assert checked.returncode == ExitCode.PASS
    assert "skip sha256: no ngdump.meta was read that states it" in checked.stdout
    target = tmp_path / "converted"
    assert zharness("dump", "convert", disk, target, "--to", "elf", *member).returncode == 0
    with open_dump(target) as dump:
        assert dump.memory_map == ((0, MEMORY),)


def test_what_a_partition_table_counts_in_can_be_forced(disk: Path):
    named = ("dump", "info", disk, "--member", "dump.elf", "--sector-size")
    assert zharness(*named, "512").returncode == ExitCode.PASS
    done = zharness(*named, "4096")
    assert done.returncode == ExitCode.ERROR
    assert "a disk without a dump: 0 ext file systems in 1 partitions" in done.stderr
    done = zharness(*named, "513")
    assert done.returncode == ExitCode.USAGE
    assert "'513' is no size of a sector: 512 or 4096" in done.stderr


def test_files_on_disks_are_compared(disk: Path, dump_file: Path):
    member = ("--member", "dump.elf")
    done = zharness("dump", "compare", disk, dump_file, *member, "--member", "")
    assert done.returncode == ExitCode.PASS, done.stderr
    assert zharness("dump", "compare", disk, disk, *member).returncode == ExitCode.PASS
    counted = zharness("dump", "compare", disk, disk, *member, "--sector-size", "4096")
    assert counted.returncode == ExitCode.ERROR
    done = zharness("dump", "compare", disk, dump_file, *member, *member, *member)
    assert done.returncode == ExitCode.USAGE
    assert "--member: there are two dumps, not 3" in done.stderr


def test_judges_get_a_file_of_a_disk_as_a_file(disk: Path, dump_file: Path):
    with for_judges(disk, "dump.elf", None, NoProgress()) as (plain, _):
        assert plain.read_bytes() == dump_file.read_bytes()
    assert not plain.exists()


def test_judges_get_a_qcow2_image_as_a_plain_one(disk: Path, tmp_path: Path):
    image = tmp_path / "disk.qcow2"
    image.write_bytes(qcow2(disk.read_bytes()))
    with for_judges(image, None, 512, NoProgress()) as (plain, size):
        assert (plain.read_bytes(), size) == (disk.read_bytes(), 512)
    with for_judges(disk, None, None, NoProgress()) as (plain, _):
        assert plain == disk


def test_info_as_json(dump_file: Path):
    info = json.loads(zharness("dump", "info", dump_file, "--json").stdout)
    assert info["memory_map"] == [[0, MEMORY]]
    assert info["complete"] is True
    assert [cpu["prefix"] for cpu in info["cpus"]] == [f"{prefix:08x}" for prefix in PREFIXES]
    assert info["uts"]["nodename"] == "crash"
    assert info["panic"] == PANIC
    assert info["log"] == {"records": 3, "last_seconds": 2.0000005}
    assert info["unreadable"] == []


@pytest.mark.parametrize(
    ("mask", "state"),
    [
        (0x0404C00180000000, "running"),
        (0x0706C00180000000, "enabled wait"),
        (0x0002000180000000, "disabled wait"),
    ],
)
def test_info_says_what_a_cpu_does(tmp_path: Path, mask: int, state: str):
    crashed = CrashedKernel()
    crashed.cpus[0] = type(crashed.cpus[0])(**{**vars(crashed.cpus[0]), "psw_mask": mask})
    with open_dump(written(tmp_path / "dump.elf", crashed.elf())) as dump:
        assert describe(dump)["cpus"][0]["state"] == state


def test_info_of_a_cut_dump_says_what_is_missing(tmp_path: Path):
    path = written(tmp_path / "dump.elf", CrashedKernel().elf()[:-5000])
    with open_dump(path) as dump:
        info = describe(dump)
    assert info["complete"] is False
    assert info["incomplete"] == "5000 bytes of memory are missing: it was cut"


def test_info_without_vmcoreinfo_says_so(tmp_path: Path):
    memory = CrashedKernel().memory()
    path = written(tmp_path / "dump.elf", CrashedKernel(vmcoreinfo=b"").elf(memory))
    with open_dump(path) as dump:
        info = describe(dump)
    assert info["release"] is info["panic"] is info["uts"] is None
    assert len(info["cpus"]) == 2
    assert "VMCOREINFO has no SYMBOL(swapper_pg_dir)" in info["unreadable"][0]


def test_info_of_a_missing_file_is_an_error(tmp_path: Path):
    done = zharness("dump", "info", tmp_path / "none")
    assert done.returncode == ExitCode.ERROR
    assert "No such file" in done.stderr


# compare


def test_the_exit_code_of_compare_is_its_result(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "compare", dump_file, dump_file)
    assert done.returncode == ExitCode.PASS, done.stderr
    assert done.stdout.endswith("the dumps are the same\n")
    elf = bytearray(dump_file.read_bytes())
    elf[-1] ^= 1
    other = written(tmp_path / "other.elf", bytes(elf))
    done = zharness("dump", "compare", dump_file, other)
    assert done.returncode == ExitCode.FAIL
    assert f"first: {dump_file} (elf)" in done.stdout
    assert "first difference at 0x3fffff" in done.stdout
    assert done.stdout.endswith("the dumps differ\n")
    done = zharness("dump", "compare", dump_file, other, "--json")
    assert done.returncode == ExitCode.FAIL
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert document["second"]["file"] == str(other)
    assert [item["check"] for item in document["checks"] if not item["passed"]] == ["pages"]


def test_compare_with_an_unreadable_file_is_an_error(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "compare", dump_file, tmp_path)
    assert done.returncode == ExitCode.ERROR
    assert "is a directory" in done.stderr
    assert zharness("dump", "compare", dump_file).returncode == ExitCode.USAGE


# check


def test_the_exit_code_of_check_is_its_result(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "check", dump_file)
    assert done.returncode == ExitCode.PASS, done.stdout
    assert done.stdout.endswith("nothing is wrong\n")
    assert "pages are zero" in done.stdout
    cut = written(tmp_path / "cut.elf", dump_file.read_bytes()[:-4096])
    done = zharness("dump", "check", cut, "--json")
    assert done.returncode == ExitCode.FAIL
    document = json.loads(done.stdout)
    assert document["dump"] == {"file": str(cut), "format": "elf", "container": None}
    assert [item["check"] for item in document["checks"] if not item["passed"]] == ["complete"]
    assert zharness("dump", "check", tmp_path / "none").returncode == ExitCode.ERROR


# extract


def test_extract_dmesg(dump_file: Path):
    done = zharness("dump", "extract", dump_file, "dmesg")
    assert done.stdout.splitlines() == [
        "[    0.000000] Linux version 6.12.1-test",
        "[    1.000000] two",
        "[    1.000000] lines",
        f"[    2.000000] {PANIC}",
    ]
    records = json.loads(zharness("dump", "extract", dump_file, "dmesg", "--json").stdout)
    assert records[2] == {"sequence": 2, "nanoseconds": 2000000500, "text": PANIC}


def test_extract_vmcoreinfo(dump_file: Path):
    done = zharness("dump", "extract", dump_file, "vmcoreinfo")
    assert done.stdout == vmcoreinfo().decode()
    lines = json.loads(zharness("dump", "extract", dump_file, "vmcoreinfo", "--json").stdout)
    assert lines["OSRELEASE"] == "6.12.1-test"


def test_extract_page_is_the_bytes_of_the_page_with_the_address(dump_file: Path):
    done = subprocess.run(
        command("dump", "extract", dump_file, "page", "0x10123"),
        capture_output=True,
        check=True,
    )
    assert done.stdout == bytes(CrashedKernel().memory()[0x10000:0x11000])
    page = json.loads(zharness("dump", "extract", dump_file, "page", "65536", "--json").stdout)
    assert page == {"address": 0x10000, "hex": done.stdout.hex()}


def test_a_page_on_a_terminal_is_in_hex():
    data = b"0123456789abcdef" * 3 + bytes(15) + b"\xff"
    assert list(hex_lines(data, 0x1000)) == [
        "0000000000001000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "*",
        "0000000000001030  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff  |................|",
        "0000000000001040",
    ]


def test_extract_cpu(dump_file: Path):
    cpu = CrashedKernel().cpus[1]
    shown = zharness("dump", "extract", dump_file, "cpu", "1").stdout.splitlines()
    assert f"gpr15                     {cpu.gprs[15]:016x}" in shown
    assert f"prefix                    {cpu.prefix:08x}" in shown
    state = json.loads(zharness("dump", "extract", dump_file, "cpu", "1", "--json").stdout)
    assert state["gprs"][15] == f"{cpu.gprs[15]:x}"


def test_registers_that_are_not_in_the_dump_are_unknown(dump_file: Path):
    prefix = bytes.fromhex("00000006 00000004 00000305")
    dump_file.write_bytes(dump_file.read_bytes().replace(prefix, prefix[:-1] + b"\xff"))
    shown = zharness("dump", "extract", dump_file, "cpu", "1").stdout.splitlines()
    assert "prefix                    unknown" in shown
    assert "prefix" not in json.loads(
        zharness("dump", "extract", dump_file, "cpu", "1", "--json").stdout
    )
    assert " unknown " in zharness("dump", "info", dump_file).stdout
    assert (
        json.loads(zharness("dump", "info", dump_file, "--json").stdout)["cpus"][1]["prefix"]
        is None
    )


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("page",), ExitCode.USAGE, "page needs an address"),
        (("page", "here"), ExitCode.USAGE, "'here' is not a number"),
        (("page", "-1"), ExitCode.USAGE, "-1"),
        (("page", hex(MEMORY)), ExitCode.ERROR, "has no memory at 0x400000"),
        (("cpu",), ExitCode.USAGE, "cpu needs a number"),
        (("cpu", "2"), ExitCode.USAGE, "no CPU 2: the dump has 2, from 0 on"),
        (("dmesg", "5"), ExitCode.USAGE, "dmesg takes no '5'"),
        (("soul",), ExitCode.USAGE, "soul"),
    ],
)
def test_extract_of_a_missing_part_is_an_error(
    dump_file: Path, arguments, code: ExitCode, what: str
):
    done = zharness("dump", "extract", dump_file, *arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert what in done.stderr


# convert


@pytest.mark.parametrize("form", writers())
def test_a_converted_dump_is_the_same(dump_file: Path, tmp_path: Path, form: str):
    target = tmp_path / "out"
    done = zharness("dump", "convert", dump_file, "--to", form, target)
    assert done.returncode == ExitCode.PASS, done.stderr
    assert f"{target}: {form}, {target.stat().st_size} bytes" in done.stdout
    assert zharness("dump", "compare", dump_file, target).returncode == ExitCode.PASS
    again = zharness("dump", "convert", dump_file, "--to", form, target)
    assert again.returncode != ExitCode.PASS
    assert str(target) in again.stderr


def test_help_names_all_that_can_be_written():
    help_text = " ".join(zharness("dump", "convert", "--help").stdout.split())
    assert [form for form in writers() if not re.search(rf"\b{form}\b", help_text)] == []


# judge


def test_zgetdump_does_not_get_formats_that_it_does_not_know(dump_file: Path, tmp_path: Path):
    target = tmp_path / "out"
    assert zharness("dump", "convert", dump_file, "--to", "s390_ext", target).returncode == 0
    done = zharness("dump", "judge", target, "--store", tmp_path / "store")
    assert done.returncode == ExitCode.USAGE
    assert "zgetdump 2.16 knows elf, s390, not s390_ext" in done.stderr
    (tmp_path / "vmlinux").write_bytes(vmlinux())
    asked = ("--vmlinux", tmp_path / "vmlinux", "--store", tmp_path / "store")
    done = zharness("dump", "judge", target, *asked)
    assert done.returncode == ExitCode.USAGE
    assert "crash knows elf, s390, kdump, not s390_ext" in done.stderr
    assert not (tmp_path / "store").exists()


def test_crash_does_not_get_what_is_not_there(dump_file: Path, tmp_path: Path):
    done = zharness("dump", "judge", dump_file, "--vmlinux", tmp_path / "gone")
    assert done.returncode == ExitCode.USAGE
    assert "vmlinux" in done.stderr
