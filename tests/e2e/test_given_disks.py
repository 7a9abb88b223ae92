"""Dump disks that were prepared without the harness's own way to prepare them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.dump.byte_source import File
from harness.dump.given_disk.boot_map import read_boot_map
from harness.host.paths import default_store
from harness.host.tools import find_tool
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import foreign_kernel
from harness.images.provide import Images
from harness.images.store import Store
from harness.images.zipl_guest import BootFiles, builder_initramfs, run_zipl
from harness.progress import NoProgress
from harness.qemu.disk import Disk
from harness.s390x.disk_layout import DiskLayout
from tests.support.disks.ext import make_file_system
from tests.support.disks.qcow2 import qcow2

pytestmark = pytest.mark.e2e

MIB = 1 << 20
KERNEL_ENTRY = 0x10000
BOOT, TARGET = (1 * MIB, 64 * MIB), (65 * MIB, 420 * MIB)  # partitions 2 and 9: start and size
TABLE = "label: gpt\nunit: sectors\n2: start=2048, size=131072\n9: start=133120, size=860160\n"


@pytest.fixture(scope="module")
def by_hand(images, dump_kernel, tmp_path_factory) -> Path:
    """GPT: loaded from partition 2, a dump goes to a directory of partition 9; qcow2."""
    home = tmp_path_factory.mktemp("by_hand")
    disk = home / "disk.img"
    with disk.open("wb") as file:
        file.truncate(490 * MIB)
    subprocess.run(
        [find_tool("sfdisk"), "-q", "--no-reread", disk], input=TABLE, text=True, check=True
    )
    make_file_system(disk, "ext4", *BOOT)
    make_file_system(disk, "ext3", *TARGET)
    debugfs = [find_tool("debugfs"), "-w", "-R", "mkdir crash", f"{disk}?offset={TARGET[0]}"]
    subprocess.run(debugfs, check=True, capture_output=True)
    store = Store(default_store(), NoProgress())
    ramdisk = Images(store, NoProgress()).dump_initramfs(DiskLayout.EXT4).path / IMAGE
    parmline = "root=/dev/ram0 possible_cpus=1 cgroup_disable=memory dump_part=9 dump_dir=/crash"
    boot = BootFiles(dump_kernel, ramdisk, parmline)
    guest, kernel = builder_initramfs(store, NoProgress()), foreign_kernel(dump_kernel, None)
    run_zipl(guest, kernel, Disk(disk), DiskLayout.EXT4, boot, home / "log", 2)
    image = home / "disk.qcow2"
    image.write_bytes(qcow2(disk.read_bytes()))
    return image


def findings(run) -> list[str]:
    return [finding["message"] for check in run.json["checks"] for finding in check["findings"]]


def test_a_disk_with_two_partitions_is_dumped_to_as_its_parmline_says(zharness, by_hand, tmp_path):
    before = by_hand.read_bytes()
    output = tmp_path / "evidence"
    run = zharness("run", "quick", "--dump-disk", by_hand, "--json", "--output", output)
    assert run.code == 0, run.out + run.err
    disk = run.json["inputs"]["dump disk"]
    assert (disk["partition"], disk["directory"], disk["layout"]) == (9, "/crash", "ext3")
    assert by_hand.read_bytes() == before
    assert not (output / "disk.img").exists()
    assert zharness("verify", output).code == 0


@pytest.fixture(scope="module")
def dumped(zharness, images, tmp_path_factory) -> Path:
    """A disk with a dump partition, on which there is a dump of the very crash."""
    output = tmp_path_factory.mktemp("dumped") / "evidence"
    run = zharness("run", "quick", "--keep", "--json", "--output", output)
    assert run.code == 0, run.out + run.err
    return output / "disk.img"


def test_zeros_of_a_dump_are_holes_of_the_disk(dumped):
    """Most memory of a small system was never used."""
    found = dumped.stat()
    assert found.st_blocks * 512 < found.st_size // 2


def test_a_disk_that_was_dumped_to_is_dumped_to_again(zharness, dumped, tmp_path):
    run = zharness("run", "quick", "--dump-disk", dumped, "--json", "--output", tmp_path / "e")
    assert run.code == 0, run.out + run.err
    assert run.json["inputs"]["dump disk"]["overwritten"] > MIB


def changed(disk: Path, copy: Path, at: int, mask: int = 1) -> Path:
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    with copy.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))
    return copy


def test_a_wrong_bit_in_the_boot_map_is_a_fault_of_the_disk(zharness, dumped, tmp_path):
    disk = changed(dumped, tmp_path / "disk.img", 0x17)  # where the program table is
    run = zharness("run", "quick", "--dump-disk", disk, "--json", "--output", tmp_path / "e")
    assert run.code == 1, run.out + run.err
    what = f"the dump system did not finish: not-loaded; {disk}: boot map: "
    assert any(message.startswith(what) for message in findings(run)), findings(run)


def test_a_wrong_byte_in_the_kernel_leaves_no_dump(zharness, dumped, tmp_path):
    with File.open(dumped) as file:
        components = read_boot_map(file, 512).components
    (kernel,) = (item for item in components if item.address == KERNEL_ENTRY)
    at = kernel.pieces[0].start + MIB  # in the compressed kernel
    disk = changed(dumped, tmp_path / "disk.img", at, mask=0xFF)
    run = zharness("run", "quick", "--dump-disk", disk, "--json", "--output", tmp_path / "e")
    assert run.code == 1, run.out + run.err
    assert "the dump system never read the HSA (no SDIAS request)" in findings(run)
