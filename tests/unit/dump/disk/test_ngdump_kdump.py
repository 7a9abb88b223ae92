"""A kdump that ngdump wrote to a partition of a whole disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.dump.detect import open_dump
from harness.inspect.check import sha256_alone
from harness.progress import NoProgress
from tests.support.disks.ext import add, make_file_system
from tests.support.disks.qcow2 import qcow2
from tests.support.disks.tables import gpt_disk
from tests.support.dumps import small
from tests.support.dumps.kdump import whole_kdump


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_kdump_of_ngdump_on_a_gpt_disk(tmp_path: Path, form: str):
    elf = small.written(tmp_path)
    with open_dump(elf) as dump:
        content = whole_kdump(dump, small.CPUS)
    disk = gpt_disk(tmp_path / "nvme.img", 16 << 20, 512, {4: (2048, (9 << 11) - 1)})
    make_file_system(disk, "ext4", 1 << 20, 8 << 20)
    checksum = hashlib.sha256(content).hexdigest()
    add(disk, "dump.kdump", content, 1)
    add(disk, "ngdump.meta", f"version=1\nfile=dump.kdump\nsha256sum={checksum}\n".encode(), 1)
    if form == "qcow2":
        disk.write_bytes(qcow2(disk.read_bytes(), packed=True))
    with open_dump(disk) as dump:
        assert dump.format == "kdump"
        assert dump.container == "ngdump's /dump.kdump on sda4 at 0x100000 of a disk"
        assert sha256_alone(dump, NoProgress()).passed
