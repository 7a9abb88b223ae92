"""Whether zgetdump and our reader agree, with invented output and dumps."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.errors import UsageError
from harness.images.store import Store
from harness.judges import agreement
from harness.judges.guest import Said
from harness.judges.zgetdump import Opinion, Zgetdump
from harness.progress import NoProgress
from harness.s390x.cpu import CpuState
from harness.verify.findings import CheckResult
from tests.support.cpus import make_cpu
from tests.support.disks.ext import add, make_disk
from tests.support.dumps import s390
from tests.support.dumps.s390 import MIB, compressed_segment
from tests.support.dumps.zgetdump import INFO, Written
from tests.support.evidence import Load, vmcore

MEMORY = bytes(range(256)) * 64  # 16 KiB
CPUS = (make_cpu(1), make_cpu(2))
LOADS = (Load(0, len(MEMORY), 0),)


PLEASED = Said(0, INFO)


def opinion(
    directory: Path, *, info: Said = PLEASED, memory: bytes = MEMORY, **options: Any
) -> Opinion:
    cpus: Sequence[CpuState] = options.pop("cpus", CPUS)
    (directory / "elf").write_bytes(vmcore(memory, cpus, **{"loads": LOADS, **options}))
    elf_alone = "loads" in options
    return Written("2.16", info, {"elf": Said(0, "Success")}, directory, elf_alone)


@pytest.fixture
def check(tmp_path: Path):
    path = tmp_path / "dump"
    path.write_bytes(vmcore(MEMORY, CPUS, loads=LOADS))

    def check(theirs: Opinion) -> CheckResult:
        with open_dump(path) as ours:
            return agreement.check(ours, theirs, NoProgress())

    return check


def test_agreement_counts_all_that_was_compared(tmp_path: Path, check):
    result = check(opinion(tmp_path))
    assert result.passed
    ranges, pages, lines = 2, 4, 5
    assert result.compared == 3 + ranges + pages + 2 * 103 + lines
    assert result.notes == ("zgetdump 2.16",)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            Said(1, "x\nzgetdump: Dump file is corrupt"),
            "ended with 1: zgetdump: Dump file is corrupt",
        ),
        (Said(0, INFO.replace("elf", "s390")), "dump format: zgetdump says 's390', we 'elf'"),
        (Said(0, INFO.replace(".: 2", ".: 3")), "CPUs: zgetdump says '3'"),
        (Said(0, INFO.replace("6.12.1", "6.1")), "kernel release: zgetdump says '6.1-test'"),
        (Said(0, ""), "CPUs: zgetdump says None"),
    ],
)
def test_disagreement_of_its_output_is_red(tmp_path: Path, check, said: Said, message: str):
    result = check(opinion(tmp_path, info=said))
    assert not result.passed
    assert any(message in finding.message for finding in result.findings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory": MEMORY[:-1] + b"x"}, "first difference at 0x3fff"),
        ({"loads": (Load(0, 0x3000, 0),)}, "only the first dump has 0x3000-0x3fff"),
        ({"cpus": CPUS[:1]}, "only the first dump has CPU 1"),
        ({"cpus": (CPUS[0], replace(CPUS[1], fpc=1))}, "CPU 1: fpc is"),
        ({"vmcoreinfo": b"OSRELEASE=6.12.1-test\n"}, "line 2 is 'PAGESIZE=4096'"),
    ],
)
def test_disagreement_of_its_dump_is_red(
    tmp_path: Path, check, change: dict[str, Any], message: str
):
    result = check(opinion(tmp_path, **change))
    assert not result.passed
    assert any(re.search(message, finding.message) for finding in result.findings)


def test_an_image_at_its_virtual_address_is_no_memory(tmp_path: Path):
    path = tmp_path / "dump"
    path.write_bytes(vmcore(MEMORY, CPUS, loads=(*LOADS, Load(0x1000, 0x1000, 0x4000))))
    theirs = opinion(tmp_path, loads=(*LOADS, Load(0x4000, 0x1000, 0x4000)))
    with open_dump(path) as ours:
        result = agreement.check(ours, theirs, NoProgress())
    assert result.passed, result.findings
    assert result.allowed == (agreement.ELF_ALONE,)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (0x2425_2627, None),  # what memory has there
        (0x2425_2628, "TOD programmable register is 00000001 in the first dump, 24252628 in the"),
    ],
)
def test_a_register_may_be_left_out_of_the_prefix_page(
    tmp_path: Path, written: int, message: str | None
):
    path = tmp_path / "dump"
    cpu = replace(make_cpu(1), prefix=0, tod_programmable=1)
    path.write_bytes(vmcore(MEMORY, [cpu], loads=LOADS))
    info = Said(0, INFO.replace(".: 2", ".: 1"))
    theirs = opinion(tmp_path, cpus=[replace(cpu, tod_programmable=written)], info=info)
    (tmp_path / "elf").rename(tmp_path / "s390")
    theirs = replace(theirs, converted={"s390": theirs.converted["elf"]})
    with open_dump(path) as ours:
        result = agreement.check(ours, theirs, NoProgress())
    assert result.passed is (message is None), result.findings
    assert result.allowed == ((agreement.TOD_LEFT_OUT,) if message is None else ())
    assert message is None or message in result.findings[0].message


@pytest.mark.parametrize("form", ["elf", "s390"])
def test_memory_that_only_zgetdump_has_is_a_disagreement(tmp_path: Path, check, form: str):
    more = (*LOADS, Load(0x4000, 0x1000, 0x4000))
    theirs = replace(opinion(tmp_path, loads=more), elf_alone=False)
    (tmp_path / "elf").rename(tmp_path / form)
    result = check(replace(theirs, converted={form: Said(0, "Success")}))
    assert "only the second dump has 0x4000-0x4fff" in result.findings[0].message


def test_zeros_in_a_gap_are_agreement_about_a_format_without(tmp_path: Path):
    path, parts = tmp_path / "dump", (Load(0, 0x1000, 0), Load(0x2000, 0x2000, 0x2000))
    path.write_bytes(vmcore(MEMORY, CPUS, loads=parts))
    theirs = opinion(tmp_path)
    (tmp_path / "elf").rename(tmp_path / "s390")
    with open_dump(path) as ours:
        said = replace(theirs, converted={"s390": Said(0, "Success")})
        result = agreement.check(ours, said, NoProgress())
    assert result.passed, result.findings
    assert agreement.NO_GAPS in result.allowed


def test_a_failed_conversion_is_red(tmp_path: Path, check):
    theirs = opinion(tmp_path)
    (tmp_path / "elf").write_bytes(b"")
    theirs = replace(theirs, converted={"elf": Said(1, "zgetdump: Got signal 15, exiting...")})
    messages = [finding.message for finding in check(theirs).findings]
    assert messages == [
        "zgetdump -f elf ended with 1: zgetdump: Got signal 15, exiting...",
        f"converted to elf by zgetdump: {tmp_path / 'elf'}: is empty",
    ]


def test_a_later_one_knows_more(tmp_path: Path):
    path, extended = tmp_path / "dump", tmp_path / "s390_ext"
    path.write_bytes(vmcore(MEMORY, [replace(make_cpu(1), prefix=0)], loads=LOADS))
    with open_dump(path) as dump:
        convert(dump, extended, "s390_ext", NoProgress())
    store = Store(tmp_path / "store", NoProgress())
    of_release, of_sid = (Zgetdump(store, NoProgress(), suite=suite) for suite in (None, "sid"))
    with open_dump(path) as dump:
        assert (of_release.unknown(dump), of_sid.unknown(dump)) == (None, None)
    size = len(MEMORY)
    whole, half = (struct.pack(">2Q", there, size) for there in (size, size // 2))
    path.write_bytes(path.read_bytes().replace(whole, half, 1))
    with open_dump(path) as dump:
        assert "memory that was left out of the file" in str(of_release.unknown(dump))
        assert of_sid.unknown(dump) is None
        with pytest.raises(UsageError) as caught, of_release.judging(path, dump):
            pass
        assert caught.value.hint == "a later zgetdump reads it: --suite sid"
    path.write_bytes(vmcore(b"", CPUS, loads=()))
    with open_dump(path) as dump:
        assert of_release.unknown(dump) == "it has no memory"
    with open_dump(extended) as dump:
        assert dump.facts["blk_size"] == 512
        assert of_release.unknown(dump) == "zgetdump 2.16 knows elf, s390, not s390_ext"
        assert of_sid.unknown(dump) is None
        with pytest.raises(UsageError) as caught, of_release.judging(extended, dump):
            pass
        assert "--suite sid" in caught.value.hint


def test_one_that_counts_in_other_blocks_than_its_disk_is_not_shown_to_it(tmp_path: Path):
    path = tmp_path / "dump"
    path.write_bytes(s390.extended(MIB, [compressed_segment(0, MEMORY * 64, stop=1)]))
    zgetdump = Zgetdump(Store(tmp_path / "store", NoProgress()), NoProgress(), suite="sid")
    with open_dump(path) as dump:
        assert dump.facts["blk_size"] == 4096
        assert zgetdump.unknown(dump) is None  # the guest's disk gets sectors of this size
        dump.container_facts = {"sector_size": 512}
        why = zgetdump.unknown(dump)
    assert why == "it counts in blocks of 4096 bytes, and the guest's disk has 512"


def test_a_dump_in_a_file_system_is_not_shown_to_it(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.0", vmcore(MEMORY, CPUS, loads=LOADS), 1000)
    zgetdump = Zgetdump(Store(tmp_path / "store", NoProgress()), NoProgress())
    with (
        open_dump(disk) as dump,
        pytest.raises(UsageError, match="zgetdump finds no dump in"),
        zgetdump.judging(disk, dump),
    ):
        pass
