from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.describe import describe
from harness.dump.detect import open_dump
from harness.dump.disk.ngdump import checksum_fits
from harness.errors import EvidenceError
from harness.host.tools import find_tool
from harness.inspect.check import sha256_alone
from harness.progress import NoProgress
from tests.support.cpus import make_cpu
from tests.support.disks.dump_partition import SB_AT, disk_with, mbr
from tests.support.disks.ext import (
    PARTITION_AT,
    PARTITION_SIZE,
    add,
    debugfs,
    make_disk,
    make_file_system,
    partition_table,
)
from tests.support.disks.tables import (
    EXTENDED,
    LINUX,
    PROTECTIVE,
    dos_sector,
    gpt_disk,
    gpt_parts,
    write_at,
)
from tests.support.evidence import PAGE, PART_SIZE, PART_START, Load, flip, superblock, vmcore

MEMORY = bytes(range(256)) * 512  # 128 KiB, with the zero page that a sparse file gets in between
LOADS = (Load(0, 0x20000, 0), Load(0x100000, 0x8000, 0))


def dump_of(number: int) -> bytes:
    """A dump of memory that begins with ``number``, and has zeros in the middle."""
    memory = bytearray(MEMORY)
    memory[0] = number
    memory[0x8000:0x10000] = bytes(0x8000)
    return vmcore(bytes(memory), [make_cpu(1)], loads=LOADS)


DUMP = dump_of(1)


def first_byte(path: Path, member: str | None = None, sector_size: int | None = None) -> int:
    with open_dump(path, member, sector_size) as dump:
        return dump.read(0, 1)[0]


def only_partition(disk: Path) -> Path:
    """The partition of a disk as a file of its own."""
    partition = disk.with_name("partition.img")
    with disk.open("rb") as image, partition.open("wb") as file:
        image.seek(PART_START)
        file.write(image.read(PART_SIZE))
    return partition


def test_dump_partition_of_a_disk(tmp_path: Path):
    with open_dump(disk_with(tmp_path, DUMP)) as dump:
        assert dump.format == "elf"
        assert dump.read(0, 0x8000)[1:] == MEMORY[1:0x8000]
        assert dump.container == "the dump partition at 0x100000 of a disk"
        assert dump.container_facts["csum_fits"] is True
        assert dump.container_facts["part_size"] == PART_SIZE
        assert dump.name.endswith("disk.img: dump partition")


def test_wrong_checksum_is_told(tmp_path: Path):
    disk = disk_with(tmp_path, DUMP)
    flip(disk, SB_AT + 71)
    with open_dump(disk) as dump:
        assert dump.container_facts["csum_fits"] is False


@pytest.mark.parametrize("size", [6, 1 << 40], ids=["no whole words", "huge"])
def test_senseless_checksum_is_neither_right_nor_wrong(tmp_path: Path, size: int):
    disk = disk_with(tmp_path, DUMP)
    with disk.open("r+b") as image:
        image.seek(SB_AT + 56)
        image.write(struct.pack(">Q", size))
    with open_dump(disk) as dump:
        assert dump.container_facts["csum_fits"] is None


def test_dump_partition_without_its_disk(tmp_path: Path):
    with open_dump(only_partition(disk_with(tmp_path, DUMP))) as dump:
        assert dump.container == "a dump partition"
        assert dump.container_facts["csum_fits"] is True


def test_the_superblock_of_a_partition_with_large_sectors_is_found(tmp_path: Path):
    """Zipl keeps the last 65536 sectors, 256 MiB, and begins to write at their start."""
    size = 320 << 20
    partition = tmp_path / "partition.img"
    block = bytearray(superblock(DUMP))
    struct.pack_into(">Q", block, 24, size)
    with partition.open("wb") as file:
        file.write(DUMP)
        file.truncate(size)
    write_at(partition, size - (256 << 20) + (5 << 20), bytes(block))
    with open_dump(partition) as dump:
        assert dump.container == "a dump partition"
        assert dump.container_facts["part_size"] == size


def test_longer_file_is_no_dump_partition_without_a_superblock_for_it(tmp_path: Path):
    path = tmp_path / "dump.elf"
    path.write_bytes(DUMP + bytes(PAGE) + superblock(DUMP))  # one, of a partition of another size
    with open_dump(path) as dump:
        assert dump.container == ""
        assert not dump.container_facts


REFUSED_DISKS = {
    "not begun": (bytes(PAGE), mbr(), "first page, which is written last, never was"),
    "busy": (b"zfcpdump busy\0".ljust(PAGE, b"\0"), mbr(), "begun and never finished"),
    "no superblock": (DUMP, mbr(0x200), "its dump superblock has magic 0x0, not 0x5a46435044554d"),
    "superblock off": (DUMP, mbr(1 << 60), "the dump superblock would be at 0x10000000000000"),
}


@pytest.mark.parametrize("name", REFUSED_DISKS)
def test_dump_disk_without_a_dump_is_refused(tmp_path: Path, name: str):
    dump, sector, message = REFUSED_DISKS[name]
    disk = disk_with(tmp_path, dump, first_sector=sector)
    with pytest.raises(EvidenceError, match=message) as caught:
        open_dump(disk)
    assert str(disk) in caught.value.message


def test_dump_behind_the_end_of_the_disk(tmp_path: Path):
    disk = disk_with(tmp_path, DUMP)
    with disk.open("r+b") as image:
        image.seek(SB_AT + 32)
        image.write(struct.pack(">Q", 1 << 40))
    with pytest.raises(EvidenceError, match=r"puts the dump at 0x10000100000, behind the end"):
        open_dump(disk)


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_dump_file_is_read_in_place(tmp_path: Path, kind: str):
    disk = make_disk(tmp_path, kind)
    add(disk, "filler", b"x" * 5000, 1000)
    add(disk, "dump.3", DUMP, 1000)
    with open_dump(disk) as dump:
        assert dump.container == "/dump.3 on sda1 at 0x100000 of a disk"
        assert dump.container_facts == {
            "partition": "sda1 (primary)",
            "partition_table": "DOS",
            "sector_size": 512,
        }
        assert dump.content.read(0, dump.content.size) == DUMP
        holes = dump.content.size - sum(size for _, size in dump.content.data_extents())
        assert holes >= 0x8000 - 1024  # debugfs writes no zero blocks
        assert dump.name == f"{disk}: /dump.3"


def test_file_in_many_pieces(tmp_path: Path):
    """The file system is nearly full, so the dump is in many pieces."""
    disk = make_disk(tmp_path, "ext2")
    for number in range(40):
        add(disk, f"filler{number}", b"x" * 300_000, 1000)
    debugfs(disk, *(f"rm filler{number}" for number in range(0, 40, 2)))
    content = DUMP + b"tail" * 500_000
    add(disk, "dump.0", content, 1000)
    with open_dump(disk) as dump:
        assert len(list(dump.content.data_extents())) > 5
        assert dump.content.read(0, dump.content.size) == content


def test_blocks_that_were_never_written_read_as_zero(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "deleted", b"\xee" * (12 << 20), 1000)  # what it leaves is in the blocks
    debugfs(disk, "rm deleted")
    end = len(DUMP) + 8192
    add(disk, "dump.0", DUMP + bytes(8192) + b"end", 1000)
    debugfs(disk, f"fallocate dump.0 {len(DUMP) // 1024 + 1} {end // 1024 - 1}")
    with open_dump(disk) as dump:
        assert dump.content.read(0, dump.content.size) == DUMP + bytes(8192) + b"end"


def test_newest_file_is_taken_unless_one_is_named(tmp_path: Path):
    disk = make_disk(tmp_path, "ext3")
    add(disk, "dump.2", dump_of(2), 2000)
    add(disk, "dump.10", dump_of(10), 1000)
    add(disk, "other", dump_of(3), 3000)
    debugfs(disk, "mkdir older", 'ln other "older/a dump"')
    assert first_byte(disk) == 2
    assert first_byte(disk, "dump.10") == 10
    assert first_byte(disk, "/older/a dump") == 3


def test_file_system_without_a_disk(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.0", DUMP, 1000)
    partition = tmp_path / "partition.img"
    partition.write_bytes(disk.read_bytes()[PARTITION_AT:])
    with open_dump(partition) as dump:
        assert dump.container == "/dump.0 on an ext file system"
        assert dump.read(0, 1) == b"\1"


@pytest.mark.parametrize("sector", [512, 4096])
def test_gpt_partition(tmp_path: Path, sector: int):
    end = PARTITION_AT + PARTITION_SIZE
    place = PARTITION_AT // sector, end // sector - 1
    disk = gpt_disk(tmp_path / "disk.img", end + PARTITION_AT, sector, {2: place})
    make_file_system(disk, "ext4", PARTITION_AT, PARTITION_SIZE)
    add(disk, "dump.0", DUMP, 1000)
    with open_dump(disk) as dump:
        assert dump.container == "/dump.0 on sda2 at 0x100000 of a disk"
        assert dump.container_facts == {
            "partition": "sda2 (GPT)",
            "partition_table": "GPT",
            "sector_size": sector,
        }
    write_at(disk, sector, b"\xff")
    with open_dump(disk) as dump:
        notes = dump.container_facts["partition_table_notes"]
        assert notes == [
            f"the backup at the disk's end: no header at {sector:#x}; Linux takes it with the "
            "parameter gpt only"
        ]


@pytest.mark.parametrize("sector", [512, 4096])
def test_dump_partition_has_the_name_that_linux_gives_it(tmp_path: Path, sector: int):
    disk = disk_with(tmp_path, DUMP)
    end = PART_START + PART_SIZE
    last = (end + (1 << 20)) // sector - 1
    parts = gpt_parts(sector, last, {3: (PART_START // sector, end // sector - 1)})
    first = bytearray(mbr())
    first[446:] = parts.pop(0)[446:]
    for offset, data in {0: bytes(first), **parts}.items():
        write_at(disk, offset, data)
    with open_dump(disk) as dump:
        assert dump.container == "the dump partition sda3 at 0x100000 of a disk"
        assert dump.container_facts["partition_table"] == "GPT"
        assert dump.container_facts["sector_size"] == sector


def test_two_ways_to_count_are_told_and_one_can_be_forced(tmp_path: Path):
    disk = make_disk(tmp_path, "ext2")
    add(disk, "dump.0", DUMP, 1000)
    write_at(disk, 0, partition_table((256, 4096)))
    make_file_system(disk, "ext2", 256 * 512, 512 << 10)
    add(disk, "dump.7", dump_of(7), 1000, offset=256 * 512)
    with pytest.raises(EvidenceError, match=r"more than one way.*\(--sector-size decides which\)"):
        open_dump(disk)
    assert first_byte(disk, sector_size=512) == 7
    assert first_byte(disk, sector_size=4096) == 1


def ngdump_disk(directory: Path, meta: str) -> Path:
    disk = make_disk(directory, "ext4")
    add(disk, "dump.9", dump_of(9), 9000)
    add(disk, "dump.elf", DUMP, 1000)
    add(disk, "ngdump.meta", meta.encode(), 1000)
    return disk


SHA256 = hashlib.sha256(DUMP).hexdigest()


def test_ngdump(tmp_path: Path):
    disk = ngdump_disk(tmp_path, f"# made\nversion=1\nfile=dump.elf\nsha256sum={SHA256}\n")
    with open_dump(disk) as dump:
        assert dump.container == "ngdump's /dump.elf on sda1 at 0x100000 of a disk"
        assert dump.container_facts["file"] == "dump.elf"
        assert dump.container_facts["sha256sum"] == SHA256
        assert dump.read(0, 1) == b"\1"
        assert checksum_fits(dump, NoProgress()) is True
        assert sha256_alone(dump, NoProgress()).passed
        assert describe(dump)["container_facts"] == dump.container_facts


def test_ngdump_checksum_is_wrong_only_when_asked(tmp_path: Path):
    disk = ngdump_disk(tmp_path, f"version=1\nfile=dump.elf\nsha256sum={'0' * 64}\n")
    with open_dump(disk) as dump:
        assert checksum_fits(dump, NoProgress()) is False
        result = sha256_alone(dump, NoProgress())
        assert not result.passed
        assert "ngdump.meta" in result.findings[0].message
    with open_dump(disk, "dump.elf") as dump:
        assert checksum_fits(dump, NoProgress()) is None


BAD_META = {
    "future": ("version=2\nfile=dump.elf\nsha256sum=0\n", "ngdump.meta: version is 2, not 1"),
    "no version": ("file=dump.elf\n", "ngdump.meta: version is None, not 1"),
    "no checksum": ("version=1\nfile=dump.elf\n", "names dump.elf, but not its sha256sum"),
    "no file": ("version=1\nfile=dump.77\nsha256sum=0\n", "names dump.77, which is not there"),
}


@pytest.mark.parametrize("name", BAD_META)
def test_bad_ngdump_meta_is_refused(tmp_path: Path, name: str):
    meta, message = BAD_META[name]
    with pytest.raises(EvidenceError, match=message):
        open_dump(ngdump_disk(tmp_path, meta))


def test_ngdump_partition_without_a_dump_may_have_others(tmp_path: Path):
    assert first_byte(ngdump_disk(tmp_path, "version=1\n")) == 9


INTERRUPTED = {
    "as zipl prepared it": b"version=1\nfile=\nsha256sum=\n",
    "without a name": b"version=1\n",
    "empty": b"",
    "never written": bytes(30),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_dump_that_ngdump_did_not_name_is_told_and_read_if_asked(tmp_path: Path, name: str):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.elf", DUMP, 1000)
    add(disk, "ngdump.meta", INTERRUPTED[name], 1000)
    with pytest.raises(EvidenceError) as caught:
        open_dump(disk)
    assert caught.value.message == (
        f"{disk}: a disk without a dump: 1 ext file systems in 1 partitions, no file dump.N, "
        "dump of ngdump.meta or dump partition of zipl -d; ngdump on sda1 at 0x100000 of a disk "
        f"was interrupted before it named its dump: there is /dump.elf ({len(DUMP)} bytes) "
        "(--member reads it)"
    )
    with open_dump(disk, "/dump.elf") as dump:
        assert dump.read(0, 1) == b"\1"
        assert dump.container == (
            "/dump.elf on sda1 at 0x100000 of a disk, which ngdump left without its checksum"
        )
        assert sha256_alone(dump, NoProgress()).skipped_reason


def test_a_partition_on_which_ngdump_never_dumped_is_told(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "ngdump.meta", b"version=1\nfile=\nsha256sum=\n", 1000)
    with pytest.raises(EvidenceError, match=r"prepared for ngdump, which never dumped$"):
        open_dump(disk)


def test_files_that_are_no_dump_by_their_names_are_named(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    for number in range(20):
        add(disk, f"vmcore{number:02}", DUMP[:100], 1000)
    with pytest.raises(EvidenceError, match=r"there is /vmcore00 \(100 .*\(--member") as caught:
        open_dump(disk)
    assert "vmcore08" not in caught.value.message
    with pytest.raises(EvidenceError, match=r"no file vmcore99$"):
        open_dump(disk, "vmcore99")


def test_a_named_file_of_a_damaged_ngdump_is_read(tmp_path: Path):
    disk = ngdump_disk(tmp_path, "version=2\nfile=dump.elf\nsha256sum=0\n")
    assert first_byte(disk, "dump.elf") == 1


def test_a_broken_chain_is_told_where_no_dump_is(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    write_at(disk, 0, dos_sector((LINUX, 2048, 30720), (EXTENDED, 64, 8)))
    with pytest.raises(EvidenceError, match="in sda2 ends at 0x8000, where no table is"):
        open_dump(disk)


def test_disk_without_a_dump(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    with pytest.raises(EvidenceError) as caught:
        open_dump(disk)
    assert caught.value.message == (
        f"{disk}: a disk without a dump: 1 ext file systems in 1 partitions, no file dump.N, "
        "dump of ngdump.meta or dump partition of zipl -d"
    )
    with pytest.raises(EvidenceError, match=r"no file dump\.7"):
        open_dump(disk, "dump.7")
    with pytest.raises(EvidenceError, match=r"no file no/where"):
        open_dump(disk, "no/where")


def test_disk_without_a_file_system(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.write_bytes(partition_table((1, 1)) + bytes(4096))
    with pytest.raises(EvidenceError, match="no ext file system is at its 1 partitions"):
        open_dump(disk)
    with pytest.raises(EvidenceError, match="0 ext file systems in 1 partitions"):
        open_dump(disk, sector_size=512)


def test_member_needs_a_file_system(tmp_path: Path):
    path = tmp_path / "dump.elf"
    path.write_bytes(DUMP)
    with pytest.raises(EvidenceError, match=r"is a dump, no disk or file system with a dump\.0"):
        open_dump(path, "dump.0")


def test_file_kept_in_its_inode_is_refused(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    subprocess.run(
        [
            *(find_tool("mke2fs"), "-q", "-F", "-t", "ext4", "-O", "inline_data"),
            *("-E", f"offset={PARTITION_AT}", str(disk), f"{PARTITION_SIZE >> 10}k"),
        ],
        check=True,
        capture_output=True,
    )
    add(disk, "dump.0", b"\x7fELF", 1000)
    with pytest.raises(EvidenceError, match=r"/dump\.0: is kept in its inode"):
        open_dump(disk)


def test_disk_that_ends_within_the_dump(tmp_path: Path):
    disk = make_disk(tmp_path, "ext4")
    add(disk, "dump.0", DUMP, 1000)
    with open_dump(disk) as dump:
        last = max(at for at, _ in dump.content.data_extents())
        assert dump.content.size - last < 0x20000
    blob = disk.read_bytes()
    cut = blob.rindex(MEMORY[:0x1000]) + 0x100
    disk.write_bytes(blob[:cut])
    with open_dump(disk) as dump, pytest.raises(EvidenceError, match="truncated"):
        dump.content.read(0, dump.content.size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=512), st.binary(max_size=128), st.sampled_from([512, 4096]))
def test_any_gpt_raises_evidence_error_only(
    tmp_path: Path, fields: bytes, entry: bytes, block_size: int
):
    path = tmp_path / "disk.img"
    with path.open("wb") as image:
        image.write(dos_sector((PROTECTIVE, 1, 0xFFFFFFFF)))
        image.seek(block_size)
        image.write(b"EFI PART" + fields)
        image.seek(2 * block_size)
        image.write(entry.ljust(128, b"\xff"))
    with pytest.raises(EvidenceError, match="its GPT is damaged"):
        open_dump(path)


def read_all(path: Path) -> str:
    """How a dump was refused; what it is called if it was not."""
    try:
        with open_dump(path) as dump:
            dump.content.upto(0, 1 << 20)
            return dump.name
    except EvidenceError as error:
        return error.message


# no deadline: examples write files and run debugfs, on a busy machine
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(min_size=1, max_size=8)), max_size=5),
    st.integers(0, 1 << 24),
)
def test_damaged_file_system_raises_evidence_error_only(
    tmp_path: Path, damages: list[tuple[int, bytes]], length: int
):
    path = tmp_path / "ext.img"
    if not path.exists():
        disk = make_disk(tmp_path, "ext2")
        add(disk, "dump.0", DUMP, 1000)
        path.write_bytes(disk.read_bytes()[PARTITION_AT:])
    content = bytearray(path.read_bytes())
    for offset, data in damages:
        content[offset : offset + len(data)] = data
    damaged = tmp_path / "damaged.img"
    damaged.write_bytes(content[:length])
    assert str(damaged) in read_all(damaged)


def test_ngdump_names_no_file_outside_of_its_file_system(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    disk = ngdump_disk(tmp_path, f"version=1\nfile=../../..{outside}\nsha256sum={SHA256}\n")
    with pytest.raises(EvidenceError, match="which is not there"):
        open_dump(disk)
