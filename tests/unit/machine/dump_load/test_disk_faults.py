"""A dump disk is damaged where a fault says, and its errors are counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.faults.fault import Group
from harness.faults.table import FAULTS, fault_of
from harness.machine.dump_load import disk_faults, interference
from harness.machine.dump_load.disk_faults import DiskFaults
from harness.qemu.disk import Disk, DiskError, Operation
from harness.qemu.monitor import BLOCK_IO_ERROR, Event
from tests.support.disks.boot_map import DATA, add_boot_map
from tests.support.disks.dump_partition import SB_AT, disk_with
from tests.support.evidence import SyntheticRun, stored, vmcore

BLOCK = 512


@pytest.fixture
def image(tmp_path: Path) -> Path:
    run = SyntheticRun()
    path = disk_with(tmp_path, vmcore(run.dumped_memory(), [stored(cpu) for cpu in run.cpus]))
    record = path.read_bytes()[:BLOCK]
    add_boot_map(path, "dump_debug=2")
    with path.open("r+b") as file:  # the pointer to the superblock, beside that to the boot map
        file.seek(0x70)
        file.write(record[0x70:])
    return path


def faults(*texts: str) -> DiskFaults:
    return DiskFaults(map(fault_of, texts))


def changed(before: bytes, after: bytes) -> list[int]:
    return [
        at
        for at in range(0, len(before), BLOCK)
        if before[at : at + BLOCK] != after[at : at + BLOCK]
    ]


def test_somebody_plays_every_fault_of_disk_and_system():
    ours = {name for name, kind in FAULTS.items() if kind.group is not Group.MACHINE}
    assert ours == disk_faults.KINDS | interference.KINDS


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("disk-write-error:offset=8K", DiskError(Operation.WRITE, errno.EIO, 8192)),
        ("disk-write-error-once:offset=0", DiskError(Operation.WRITE, errno.EIO, 0, once=True)),
        ("disk-read-error:offset=512", DiskError(Operation.READ, errno.EIO, 512)),
        ("disk-no-space:offset=512", DiskError(Operation.WRITE, errno.ENOSPC, 512)),
        ("disk-flush-error", DiskError(Operation.FLUSH, errno.EIO)),
    ],
)
def test_errors_are_qemus(image: Path, text: str, error: DiskError):
    before = image.read_bytes()
    assert faults(text).spoil(Disk(image)).errors == (error,)
    assert image.read_bytes() == before


def test_a_place_behind_the_end_is_refused(image: Path):
    end = image.stat().st_size
    with pytest.raises(HarnessError, match="cannot happen: the dump disk has"):
        faults(f"disk-write-error:offset={end}").spoil(Disk(image))


def test_properties_of_the_disk(image: Path):
    spoilt = faults("disk-read-only", "disk-slow:rate=1M").spoil(Disk(image))
    assert (spoilt.read_only, spoilt.rate, spoilt.errors) == (True, 1 << 20, ())


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("rot-boot-record", [0]),
        ("rot-superblock", [SB_AT]),
        ("rot-kernel", [(DATA + 1) * BLOCK]),
    ],
)
def test_what_rots(image: Path, text: str, blocks: list[int]):
    before = image.read_bytes()
    rotten = faults(text)
    rotten.spoil(Disk(image))
    assert changed(before, image.read_bytes()) == blocks
    assert rotten.played == {text: 1}


def test_the_ramdisk_is_the_largest_part_behind_the_kernel(image: Path, monkeypatch):
    with pytest.raises(HarnessError, match="no ramdisk to damage"):
        faults("rot-ramdisk").spoil(Disk(image))
    monkeypatch.setattr(disk_faults, "LEAST_RAMDISK", 1)
    before = image.read_bytes()
    faults("rot-ramdisk").spoil(Disk(image))
    (block,) = changed(before, image.read_bytes())
    assert block > (DATA + 1) * BLOCK


def test_a_disk_without_the_place_is_an_error(tmp_path: Path):
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    for text in ("rot-superblock", "rot-kernel"):
        with pytest.raises(HarnessError, match="nothing to damage"):
            faults(text).spoil(Disk(path))


def test_another_disk_has_the_same_size_and_nothing_on_it(image: Path):
    size = image.stat().st_size
    faults("wrong-disk").spoil(Disk(image))
    assert image.read_bytes() == bytes(size)


def reported(operation: str, number: int, action: str = "report") -> Event:
    data = {"operation": operation, "reason": os.strerror(number), "action": action}
    return Event(name=BLOCK_IO_ERROR, data=data, seconds=0.0)


def test_what_qemu_reports_is_counted():
    writes, reads = "disk-write-error:offset=512", "disk-read-error:offset=512"
    counted = faults(writes, reads)
    for event in (
        reported("write", errno.EIO),
        reported("write", errno.EIO),
        reported("read", errno.EIO),
        reported("write", errno.ENOSPC),
        reported("write", errno.EIO, action="stop"),
        Event(name="RESET", data={}, seconds=0.0),
    ):
        counted.on_event(event)
    assert counted.played == {writes: 2, reads: 1}
    assert counted.foreign == os.strerror(errno.ENOSPC), "nobody asked for this one"
