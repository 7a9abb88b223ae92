from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.byte_source import File
from harness.dump.collect import collect_partition
from harness.dump.detect import open_dump
from harness.dump.disk.zipl_superblock import FoundSuperblock, Superblock, superblock_of_disk
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.sparse_writer import SparseFile, nonzero_runs
from harness.errors import EvidenceError, HostError
from harness.evidence.collected import Collected
from harness.inspect import check as alone
from harness.progress import NoProgress, Task
from tests.support.cpus import make_cpu
from tests.support.disks.dump_partition import SB_AT, disk_with, mbr
from tests.support.disks.tables import LINUX, dos_sector, write_at
from tests.support.evidence import (
    MEMORY,
    PAGE,
    PART_SIZE,
    PART_START,
    crashed_memory,
    superblock,
    vmcore,
    write_sparse,
)

BUSY = b"zfcpdump busy\0".ljust(PAGE, b"\0")


def read_superblock(disk: Path) -> FoundSuperblock:
    with File.open(disk) as content:
        return superblock_of_disk(content)


@pytest.fixture(scope="module")
def dump() -> bytes:
    return vmcore(crashed_memory(), [make_cpu(1), make_cpu(2)])


class Recorder(NoProgress):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.total: float | None = None

    @contextmanager
    def task(self, what: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        self.total = total
        yield self

    def update(self, done: float, note: str = "") -> None:
        self.told.append(done)


def test_dump_comes_out_as_long_as_it_is(tmp_path: Path, dump: bytes):
    progress = Recorder()
    collected = collect_partition(disk_with(tmp_path, dump), tmp_path, progress)
    assert collected == Collected(len(dump), "as long as the dump's headers say", SB_AT)
    assert (tmp_path / "dump").read_bytes() == dump
    assert (tmp_path / "superblock.bin").read_bytes() == superblock(dump)
    assert progress.total == len(dump) == progress.told[-1]
    assert progress.told == sorted(progress.told)


def test_zero_pages_become_holes(tmp_path: Path, dump: bytes):
    collect_partition(disk_with(tmp_path, dump), tmp_path, NoProgress())
    taken = (tmp_path / "dump").stat().st_blocks * 512
    assert taken <= len(dump) - (1 << 20)  # the MiB that is empty in the crashed memory


def test_bytes_after_the_dump_are_not_collected(tmp_path: Path, dump: bytes):
    collected = collect_partition(disk_with(tmp_path, dump + b"old dump"), tmp_path, NoProgress())
    assert collected.size == len(dump)


def test_torn_dump_is_taken_and_recognised(tmp_path: Path, dump: bytes):
    torn = BUSY + dump[PAGE:]
    collected = collect_partition(disk_with(tmp_path, torn), tmp_path, NoProgress())
    assert "never finished" in collected.note
    assert collected.size == 64 << 20  # dump_size of the superblock
    with (tmp_path / "dump").open("rb") as file:
        assert file.read(len(torn)) == torn
    with pytest.raises(EvidenceError, match="never finished"):
        open_dump(tmp_path / "dump")


def test_dump_that_leaves_the_disk_is_cut(tmp_path: Path, dump: bytes):
    disk = disk_with(tmp_path, dump)
    with disk.open("r+b") as image:
        image.write(mbr(sb_off=PAGE))
        image.seek(PAGE)
        image.write(superblock(dump))
        image.truncate(PART_START + len(dump) - 3 * PAGE)
    collected = collect_partition(disk, tmp_path, NoProgress())
    assert collected.size == len(dump) - 3 * PAGE
    assert "the partition has only" in collected.note


def test_overwritten_superblock_is_kept_for_the_checks(tmp_path: Path, dump: bytes):
    disk = disk_with(tmp_path, dump)
    with disk.open("r+b") as image:
        image.seek(SB_AT)
        image.write(b"garbage!")
    collected = collect_partition(disk, tmp_path, NoProgress())
    assert (collected.size, collected.superblock_offset) == (None, SB_AT)
    assert "magic" in collected.note
    assert (tmp_path / "superblock.bin").read_bytes().startswith(b"garbage!")


def test_superblock_that_points_off_the_disk(tmp_path: Path, dump: bytes):
    disk = disk_with(tmp_path, dump)
    with disk.open("r+b") as image:
        image.seek(SB_AT + 16)
        image.write(b"\xff" * 8)
    collected = collect_partition(disk, tmp_path, NoProgress())
    assert (collected.size, collected.superblock_offset) == (None, SB_AT)
    assert "off the disk" in collected.note


NO_DUMP_DISK = {
    "blank": (bytes(512), "no disk prepared by zipl -d"),
    "IPL disk": (mbr(kind=0), "not a SCSI dump"),
    "DASD": (mbr(device=0), "not a SCSI dump"),
    "superblock off the disk": (mbr(sb_off=1 << 60), "behind the end of the disk"),
}


@pytest.mark.parametrize("name", NO_DUMP_DISK)
def test_a_damaged_disk_is_a_finding(tmp_path: Path, name: str):
    sector, message = NO_DUMP_DISK[name]
    disk = disk_with(tmp_path, b"", first_sector=sector)
    collected = collect_partition(disk, tmp_path, NoProgress())
    assert (collected.size, collected.superblock_offset) == (None, None)
    assert collected.note.startswith("disk.img: ")
    assert message in collected.note
    assert [path.name for path in tmp_path.iterdir()] == ["disk.img"]


@pytest.mark.parametrize("collected", [Collected(None, "nothing"), Collected(5, "all", 4096)])
def test_collected_facts_can_be_read_again(tmp_path: Path, collected: Collected):
    collected.save(tmp_path)
    assert Collected.load(tmp_path) == collected


def test_tiny_disk_is_refused(tmp_path: Path):
    (tmp_path / "disk.img").write_bytes(b"zIPL")
    with pytest.raises(EvidenceError, match="too few for a SCSI MBR"):
        read_superblock(tmp_path / "disk.img")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.integers(0, 600), st.booleans())
def test_arbitrary_disks_raise_evidence_error_only(
    tmp_path: Path, noise: bytes, offset: int, prepared: bool
):
    content = mbr(sb_off=offset) if prepared else b""
    disk = tmp_path / "noise.img"
    disk.write_bytes(content + noise)
    try:
        found = read_superblock(disk)
    except EvidenceError:
        return
    assert prepared
    assert found.offset == offset
    assert found.superblock == Superblock.parse(found.block)


@given(st.binary(max_size=100))
def test_superblock_of_any_bytes(data: bytes):
    if len(data) < 72:
        with pytest.raises(EvidenceError, match="not 72"):
            Superblock.parse(data)
    else:
        parsed = Superblock.parse(data)
        assert struct.pack(">9Q", *vars(parsed).values()) == data[:72]


def test_full_disk_is_the_hosts_fault_and_leaves_nothing(
    tmp_path: Path, dump: bytes, monkeypatch: pytest.MonkeyPatch
):
    disk = disk_with(tmp_path, dump)
    write = os.pwrite

    def full_after_the_superblock(fd: int, data: bytes, offset: int) -> int:
        if len(data) > PAGE:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full_after_the_superblock)
    with pytest.raises(HostError, match="no space left for"):
        collect_partition(disk, tmp_path, NoProgress())
    assert not (tmp_path / "dump").exists()


def test_existing_file_is_not_overwritten(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(HostError, match="File exists"),
        SparseFile.create(tmp_path / "file", 10),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"


PIECES = st.lists(
    st.sampled_from([bytes(PAGE), b"x" * PAGE, bytes(PAGE - 1) + b"y", b"z" + bytes(PAGE - 1)]),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PIECES, st.sampled_from([b"", b"\0" * 10, b"tail", bytes(9) + b"t"]))
def test_sparse_file_holds_what_was_written(tmp_path: Path, pages: list[bytes], tail: bytes):
    data, path = b"".join(pages) + tail, tmp_path / "sparse"
    path.unlink(missing_ok=True)
    with SparseFile.create(path, len(data)) as file:
        file.write(0, data)
    assert path.read_bytes() == data
    written = sum(end - start for start, end in nonzero_runs(data))
    assert written == sum(len(piece) for piece in [*pages, tail] if piece.strip(b"\0"))


def test_builder_puts_the_memory_where_tests_expect_it(tmp_path: Path, dump: bytes):
    write_sparse(tmp_path / "dump", dump)
    with ElfDump.open(tmp_path / "dump") as opened:
        assert opened.segments[-1].size == MEMORY


CSUM_OFFSET, CSUM = 48, 64  # of the superblock's fields


@pytest.mark.parametrize(
    ("at", "form", "value", "said"),
    [
        (CSUM, ">Q", 1, "checksum is 0x1, that of the dump's beginning"),
        (CSUM_OFFSET, ">Q", 1 << 63, "the checksummed area at 0x8000000000000000"),
    ],
)
def test_a_partition_without_its_disk_has_its_superblock_checked(
    tmp_path: Path, at: int, form: str, value: int, said: str
):
    disk = disk_with(tmp_path, vmcore(crashed_memory(), [make_cpu(1)]))
    image = bytearray(disk.read_bytes()[PART_START : PART_START + PART_SIZE])
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_bytes(image)
    struct.pack_into(form, image, SB_AT - PART_START + at, value)
    wrong.write_bytes(image)
    for path, messages in ((right, []), (wrong, [said])):
        with open_dump(path) as dump:
            results = alone.check(dump, alone.superblock_of(path), NoProgress())
        (result,) = [each for each in results if each.check == "superblock"]
        assert result.skipped_reason is None
        assert len(result.findings) >= len(messages)
        assert result.passed is not bool(messages)
        found = " ".join(finding.message for finding in result.findings)
        assert all(message in found for message in messages)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("moved", [0, 1])
def test_a_partition_that_the_table_does_not_have_is_a_finding(
    tmp_path: Path, dump: bytes, sector: int, moved: int
):
    disk = disk_with(tmp_path, dump)
    entry = (LINUX, PART_START // sector + moved, PART_SIZE // sector)
    write_at(disk, 446, dos_sector(entry)[446:])
    with open_dump(disk) as opened:
        results = alone.check(opened, alone.superblock_of(disk), NoProgress())
    (result,) = [each for each in results if each.check == "superblock"]
    assert [finding.message for finding in result.findings] == moved * [
        "the disk's partition table has no partition at 0x100000 with 0x5000000 bytes"
    ]


def test_a_device_without_holes_is_all_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, seek = tmp_path / "device", os.lseek
    path.write_bytes(bytes(3 * PAGE))

    def lseek(fd: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_DATA:
            raise OSError(errno.EINVAL, "Invalid argument")  # as Linux does for block devices
        return seek(fd, offset, whence)

    monkeypatch.setattr(os, "lseek", lseek)
    with File.open(path) as file:
        assert list(file.data_extents(PAGE)) == [(PAGE, 2 * PAGE)]
