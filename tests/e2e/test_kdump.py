"""The kdump-compressed format of the real QEMU, for a machine that never ran."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from harness.deadline import Deadline
from harness.dump.detect import open_dump
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from tests.support.evidence import VMCORE_INFO_POINTER, VMCOREINFO, elf_note

pytestmark = pytest.mark.e2e

MEMORY = 16 << 20
SECONDS = 20
NOTE = 0x10000
PLACES = (0x2000, 0x40000, 0x7FF000, MEMORY - 4096)


def test_qemus_kdump_is_read_like_its_elf(tmp_path: Path):
    source = random.Random(1)
    with GuestRam.create(MEMORY) as ram:
        for place in PLACES:
            ram.write(place, source.randbytes(3000) + b"abc" * 200)
        ram.write(VMCORE_INFO_POINTER, struct.pack(">Q", NOTE))
        ram.write(NOTE, elf_note(b"VMCOREINFO", 0, VMCOREINFO))
        with Qemu.start(
            find_qemu(), MachineSpec(MEMORY, cpus=2, paused=True), ram, tmp_path, name="test"
        ) as qemu:
            for form in ("elf", "kdump-zlib"):
                arguments = {
                    "paging": False,
                    "protocol": f"file:{tmp_path / form}",
                    "format": form,
                }
                qemu.monitor.execute("dump-guest-memory", arguments, deadline=Deadline(SECONDS))
    with open_dump(tmp_path / "elf") as elf, open_dump(tmp_path / "kdump-zlib") as kdump:
        assert kdump.format == "kdump"
        assert kdump.container == "makedumpfile's flattened format"
        assert kdump.memory_map == elf.memory_map == ((0, MEMORY),)
        assert kdump.read(0, MEMORY) == elf.read(0, MEMORY)
        assert kdump.read(PLACES[0], 3000) == random.Random(1).randbytes(3000)
        assert kdump.vmcoreinfo == VMCOREINFO
        assert kdump.cpus == elf.cpus
        assert len(kdump.cpus) == 2
        assert (kdump.missing, kdump.incomplete) == (0, None)
