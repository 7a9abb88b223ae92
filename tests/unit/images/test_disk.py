from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump.byte_source import File
from harness.dump.disk.ext_files import ext_kind, is_ext
from harness.dump.disk.partition import Partition
from harness.dump.disk.partition_table import partition_numbered
from harness.errors import BuildError, UsageError, ZiplRefused
from harness.images import disk
from harness.images.disk import DISK, PARTITION_START, DiskSpec, check_boot_records, size_for
from harness.images.guest_job import complaint_in
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.partitions import NEIGHBOUR_SIZE, Neighbour, Placement
from harness.images.store import Built, Store
from harness.images.zipl.chosen import Zipl
from harness.images.zipl_guest import BootFiles
from harness.progress import NoProgress
from harness.qemu.disk import Disk
from harness.s390x.disk_layout import DiskLayout
from tests.support.disks.tables import listed

MIB = 1 << 20
SIZE = 64 * MIB
TABLE = 3 * MIB
SUPERBLOCK = 40 * MIB + 0x400


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def write_boot_records(path: Path, layout: DiskLayout, sector: int = 512) -> None:
    """The parts of a disk from zipl that are checked."""
    size = path.stat().st_size
    mbr = bytearray(0x80)
    mbr[:8] = b"zIPL" + (1).to_bytes(4, "big")
    struct.pack_into(">QHH", mbr, 0x10, TABLE // sector, sector, 0)
    if not layout.is_file_system:
        mbr[0x70:0x78] = b"zIPL\x01\x01\x02\x01"
        superblock = SUPERBLOCK - SIZE + size
        struct.pack_into(">Q", mbr, 0x78, superblock)
        fields = (1, PARTITION_START, size - PARTITION_START, 0, 32 * MIB, 0, 4096, 0)
        write(path, superblock, struct.pack(">9Q", 0x5A46435044554D50, *fields))
    write(path, 0, mbr)
    write(path, TABLE, b"zIPL")


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    path = tmp_path / DISK
    disk.make_partition(path, SIZE)
    write_boot_records(path, DiskLayout.PARTITION)
    return path


# --- partition table -------------------------------------------------------------------------


@given(st.integers(1, 1 << 20))
def test_partition_covers_the_disk(tmp_path_factory: pytest.TempPathFactory, mib: int):
    path = tmp_path_factory.mktemp("disk") / DISK
    size = PARTITION_START + mib * MIB
    disk.make_partition(path, size)
    try:
        assert path.stat().st_size == size
        assert path.stat().st_blocks * 512 <= 16384  # sparse
        with path.open("rb") as file:
            first = file.read(512)
    finally:
        path.unlink()
    status, kind, start, blocks = struct.unpack_from("<B3xB3xII", first, 0x1BE)
    assert (status, kind, start) == (0, 0x83, 2048)
    assert (start + blocks) * 512 == size
    assert first[0x1CE:] == bytes(48) + b"\x55\xaa"


def test_fdisk_reads_the_same_table_in_sectors_of_4096_bytes(tmp_path: Path):
    path = tmp_path / DISK
    disk.make_partition(path, SIZE, 4096)
    assert listed(path, 4096) == [(1, 256, (SIZE - MIB) // 4096)]


def test_sfdisk_reads_the_same_table(tmp_path: Path):
    path = tmp_path / DISK
    disk.make_partition(path, SIZE)
    sfdisk = shutil.which("sfdisk", path="/usr/sbin:/sbin")
    assert sfdisk
    listing = subprocess.run([sfdisk, "-J", path], capture_output=True, check=True).stdout
    table = json.loads(listing)["partitiontable"]
    assert table["label"] == "dos"
    (only,) = table["partitions"]
    assert (only["start"], only["size"], only["type"]) == (2048, (SIZE - MIB) // 512, "83")


# --- what zipl left --------------------------------------------------------------------------


@pytest.mark.parametrize("layout", DiskLayout)
def test_right_boot_records(tmp_path: Path, layout: DiskLayout):
    path = tmp_path / DISK
    disk.make_partition(path, SIZE)
    write_boot_records(path, layout)
    check_boot_records(path, layout)


@pytest.mark.parametrize(
    ("offset", "data", "problem"),
    [
        (0, b"IPLz", "no zIPL boot record"),
        (0x10, (SIZE // 512).to_bytes(8, "big"), "the program table is said to be at byte"),
        (0x10, bytes(8), "the program table is said to be at byte 0x0"),
        (TABLE, b"\0", "no program table at byte 0x300000"),
        (0x70, b"\0", "is not that of a SCSI dump partition"),
        (0x75, b"\0", "is not that of a SCSI dump partition"),  # IPL, not dump
        (0x76, b"\1", "is not that of a SCSI dump partition"),  # ECKD, not SCSI
        (0x78, (SIZE - 71).to_bytes(8, "big"), "the dump superblock is said to be at byte"),
        (0x78, bytes(8), "the dump superblock is said to be at byte 0x0"),
        (SUPERBLOCK, b"\0", "no dump superblock at byte 0x2800400"),
        (SUPERBLOCK + 23, b"\1", "start and size"),
        (SUPERBLOCK + 31, b"\1", "start and size"),
    ],
)
def test_wrong_boot_records(partition: Path, offset: int, data: bytes, problem: str):
    write(partition, offset, data)
    with pytest.raises(BuildError, match=problem):
        check_boot_records(partition, DiskLayout.PARTITION)


def test_file_system_disk_marked_for_raw_dumps(partition: Path):
    with pytest.raises(BuildError, match="marked as a dump partition"):
        check_boot_records(partition, DiskLayout.EXT4)


def test_untouched_disk(tmp_path: Path):
    disk.make_partition(tmp_path / DISK, SIZE)
    with pytest.raises(BuildError, match="no zIPL boot record"):
        check_boot_records(tmp_path / DISK, DiskLayout.EXT2)


# --- the image in the store ------------------------------------------------------------------


class Bench:
    """A store and inputs for disks, with a fake builder guest."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "store", NoProgress())
        self.directory = directory
        self.builds: list[DiskLayout] = []
        self.numbers: list[int] = []
        self.made: list[tuple[DiskLayout, int]] = []
        self.asked = 0
        self.guest = self.image("initramfs-builder", "guest", version="2.16")
        self.maker = self.image("initramfs-files", "mkfs")
        self.host = self.kernel("host", b"host")

    def image(self, kind: str, content: str, version: str = "") -> Built:
        def build(directory: Path, log: Path) -> dict[str, Any]:
            (directory / IMAGE).write_text(content)
            return {"packages": [{"name": "s390-tools", "version": version}]}

        return self.store.get(kind, {"content": content}, build)

    def kernel(self, name: str, content: bytes) -> Kernel:
        path = self.directory / name
        path.write_bytes(content)
        return Kernel(path, "6.12", sha256=hashlib.sha256(content).hexdigest(), origin=name)

    def run_zipl(
        self,
        guest: Built,
        host: Kernel,
        shown: Disk,
        layout: DiskLayout,
        boot: BootFiles,
        log: Path,
        number: int = 1,
        zipl: Zipl | None = None,
    ) -> None:
        self.builds.append(layout)
        self.numbers.append(number)
        write_boot_records(shown.path, layout, shown.sector_size)

    def make_in_guest(
        self, guest: Built, kernel: Kernel, disk: Path, layout: DiskLayout, number: int, log: Path
    ) -> None:
        assert (guest, kernel) == (self.maker, self.host)
        self.made.append((layout, number))

    def disk(self, **changes: Any) -> Built:
        fields = {
            "layout": DiskLayout.PARTITION,
            "size": SIZE,
            "kernel": self.kernel("kernel", b"kernel"),
            "ramdisk": self.image("initramfs-dump", "ramdisk"),
            "parmline": "",
        }
        return disk.dump_disk(
            self.store, NoProgress(), DiskSpec(**{**fields, **changes}), self.host_kernel
        )

    def host_kernel(self) -> Kernel:
        self.asked += 1
        return self.host


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)
    monkeypatch.setattr(disk, "run_zipl", bench.run_zipl)
    monkeypatch.setattr(disk, "make_in_guest", bench.make_in_guest)
    monkeypatch.setattr(disk, "files_guest", lambda *_: bench.maker)
    monkeypatch.setattr(disk, "builder_initramfs", lambda *_: bench.guest)
    return bench


def test_same_inputs_same_disk(bench: Bench):
    first = bench.disk()
    assert bench.disk() == first
    assert bench.builds == [DiskLayout.PARTITION]
    assert bench.asked == 1
    assert (first.path / DISK).stat().st_size == SIZE
    assert first.manifest["zipl"] == "2.16"
    assert list(first.manifest["files"]) == [DISK]


CHANGES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "size": lambda _: {"size": 2 * SIZE},
    "kernel": lambda bench: {"kernel": bench.kernel("other", b"other")},
    "ramdisk": lambda bench: {"ramdisk": bench.image("initramfs-dump", "other")},
    "no ramdisk": lambda _: {"ramdisk": None},
    "parmline": lambda _: {"parmline": "dump_debug=6"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_inputs_other_disk(bench: Bench, change: Callable[[Bench], dict[str, Any]]):
    assert bench.disk().key != bench.disk(**change(bench)).key
    assert len(bench.builds) == 2


GIVEN = Zipl("zipl 2.40 of sid", (), {"version": "2.40", "suite": "sid"})


def test_a_disk_tells_which_zipl_prepared_it(bench: Bench):
    assert bench.disk(zipl=GIVEN).manifest["zipl"] == {"version": "2.40", "suite": "sid"}


def test_other_zipl_other_disk(bench: Bench):
    first = bench.disk()
    bench.guest = bench.image("initramfs-builder", "newer zipl", version="2.17")
    second = bench.disk()
    assert second.key != first.key
    assert second.manifest["zipl"] == "2.17"


@pytest.mark.parametrize("layout", DiskLayout)
@pytest.mark.parametrize("size", [0, PARTITION_START, SIZE + 1, 1 << 41])
def test_impossible_sizes(bench: Bench, layout: DiskLayout, size: int):
    with pytest.raises(UsageError, match=f"a {layout} dump disk cannot have {size} bytes"):
        bench.disk(layout=layout, size=size)
    assert bench.builds == []


@pytest.mark.parametrize(
    # kernel and ramdisk together are shorter than a block here
    ("layout", "least"),
    [(DiskLayout.PARTITION, 33 * MIB + 512), (DiskLayout.EXT2, MIB + 512)],
)
def test_least_size(bench: Bench, layout: DiskLayout, least: int):
    with pytest.raises(UsageError) as caught:
        bench.disk(layout=layout, size=least - 512)
    assert f" from {least} to " in (caught.value.hint or "")
    if layout is DiskLayout.PARTITION:  # mke2fs wants more for a file system
        assert (bench.disk(layout=layout, size=least).path / DISK).stat().st_size == least


def test_a_disk_that_zipl_left_unfinished_is_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "run_zipl", lambda *_: None)
    with pytest.raises(BuildError, match="no zIPL boot record"):
        bench.disk()
    assert bench.store.find("disk") == []


def test_a_zipl_under_test_that_leaves_a_wrong_disk_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "run_zipl", lambda *_: None)
    with pytest.raises(ZiplRefused, match=r"^zipl 2\.40 of sid: .*no zIPL boot record"):
        bench.disk(zipl=GIVEN)


@pytest.mark.parametrize("layout", [each for each in DiskLayout if not each.boots_from_beside])
def test_a_disk_with_sectors_of_4096_bytes(bench: Bench, layout: DiskLayout):
    built = bench.disk(layout=layout, sector_size=4096, size=5 * SIZE)
    assert built.key != bench.disk(layout=layout, size=5 * SIZE).key
    with File.open(built.path / DISK) as content:
        assert partition_numbered(content, 1) == Partition(1, PARTITION_START, 5 * SIZE - MIB)
        block_size_at = PARTITION_START + 1024 + 24
        if layout.is_file_system:  # Linux mounts no file system whose block is less than a sector
            assert content.read(block_size_at, 4) == (2).to_bytes(4, "little")
    with pytest.raises(UsageError, match=f"cannot have {SIZE + 512} bytes"):
        bench.disk(layout=layout, sector_size=4096, size=SIZE + 512)


@pytest.mark.parametrize("layout", [DiskLayout.XFS, DiskLayout.BTRFS])
@pytest.mark.parametrize("number", [1, 3])
def test_boot_files_are_on_ext4_behind_a_file_system_that_zipl_does_not_know(
    bench: Bench, layout: DiskLayout, number: int
):
    place = Placement(number, neighbour=Neighbour.AFTER)
    built = bench.disk(layout=layout, place=place, size=512 * MIB)
    assert bench.made == [(layout, number)]
    assert (bench.builds, bench.numbers) == ([DiskLayout.EXT4], [number + 1])
    with File.open(built.path / DISK) as content:
        boot = partition_numbered(content, number + 1)
        assert (boot.start, boot.size) == (512 * MIB - NEIGHBOUR_SIZE, NEIGHBOUR_SIZE)
        assert ext_kind(content, boot.start) is DiskLayout.EXT4
        assert not is_ext(content, partition_numbered(content, number).start)
    bench.maker = bench.image("initramfs-files", "newer mkfs")
    assert bench.disk(layout=layout, place=place, size=512 * MIB).key != built.key


def test_boot_files_that_are_too_large_for_their_partition_are_refused(bench: Bench):
    kernel = bench.kernel("large", bytes(NEIGHBOUR_SIZE))
    place = Placement(neighbour=Neighbour.AFTER)
    with pytest.raises(UsageError, match="on a xfs disk they can have 13631488"):
        bench.disk(layout=DiskLayout.XFS, place=place, size=512 * MIB, kernel=kernel)
    assert bench.builds == []


@pytest.mark.parametrize("layout", [DiskLayout.EXT4, DiskLayout.EXT3, DiskLayout.EXT2])
def test_file_systems_are_reproducible_sparse_and_as_large_as_their_partition(
    bench: Bench, layout: DiskLayout
):
    image = bench.disk(layout=layout).path / DISK
    content = image.read_bytes()
    bench.store.remove(bench.store.find("disk")[0])
    again = bench.disk(layout=layout).path / DISK
    assert again.read_bytes() == content
    assert image.stat().st_blocks * 512 < 8 * MIB
    blocks, log_size = struct.unpack_from("<4xI16xI", content, PARTITION_START + 1024)
    assert blocks << (10 + log_size) == SIZE - PARTITION_START
    reserved = struct.unpack_from("<8xI", content, PARTITION_START + 1024)
    assert reserved == (0,)


@pytest.mark.parametrize("layout", DiskLayout)
@given(memory=st.integers(64 * MIB, 1 << 40))
def test_a_dump_of_all_memory_fits(layout: DiskLayout, memory: int):
    # inode tables take 1/64 (mke2fs.conf: 256 of each 16384 bytes), ext2's block pointers 1/1024
    own = memory // 64 + memory // 1024 if layout.is_file_system else 0
    size = size_for(layout, memory)
    assert size - PARTITION_START >= memory + own + 96 * MIB
    assert size % MIB == 0
    # zipl -d keeps 65536 sectors for itself: seen with 512 (32 MiB) and with 4096 bytes (256 MiB)
    kept = 0 if layout.is_file_system else 65536 * 4096
    assert size_for(layout, memory, 4096) - PARTITION_START >= memory + own + 96 * MIB + kept


# --- the builder's complaints ----------------------------------------------------------------

FAILURE = "zharness builder: failed"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["Building", "Error: no space", "cleanup", FAILURE], "Error: no space"),
        (["mount: mounting /dev/sda1 on /mnt failed", "", FAILURE], "mount: mounting"),
        (["[1.0] Kernel panic - not syncing: x", "[1.1] CPU: 0"], "[1.0] Kernel panic"),
        ([FAILURE], "nothing"),
        ([], "nothing"),
    ],
)
def test_the_complaint_is_found_among_the_lines(lines: list[str], complaint: str):
    assert complaint_in(lines).startswith(complaint)
