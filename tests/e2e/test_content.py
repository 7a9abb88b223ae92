"""Planted content in a real guest: QEMU's own dump has everything that the guest planted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from harness.deadline import Deadline
from harness.dump.formats.elf.reader import ElfDump
from harness.host.paths import default_store
from harness.images.initramfs.build import CRASHED, IMAGE, initramfs
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec
from harness.run.plan import CRASH_PARMLINE
from harness.s390x.disk_layout import DiskLayout
from harness.verify.checks import planted_content as content
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import CheckResult
from harness.verify.planted_layout import Kind

pytestmark = pytest.mark.e2e

MEMORY = 256 << 20
HSA = 64 << 20
SEED = 20_26
SECONDS = 300
PROMPT = "zharness# "
PLANTED = re.compile(r"zharness: planted (\d+) pages, (\d+) messages\s")


@dataclass(frozen=True)
class PlantedDump:
    """QEMU's dump of a guest, and the guest's output about the planted content."""

    path: Path
    pages: int
    messages: int

    def check(self, hsa_size: int = HSA) -> CheckResult:
        with ElfDump.open(self.path) as dump:
            return content.check(
                Evidence(
                    ram=cast("RamImage", None),
                    cpus=(),
                    dump=dump,
                    dump_fault=None,
                    superblock=None,
                    console=(),
                    outcome={"hsa_size": hsa_size},
                    layout=DiskLayout.PARTITION,
                    content_seed=SEED,
                )
            )


@pytest.fixture(scope="module")
def planted(images: Any, tmp_path_factory: pytest.TempPathFactory) -> PlantedDump:
    directory = tmp_path_factory.mktemp("planted")
    store, deadline = Store(default_store(), NoProgress()), Deadline(SECONDS)
    lists = (*CRASHED, "crash/content.list")
    ramdisk = initramfs(store, NoProgress(), "initramfs-crashed", lists)
    spec = MachineSpec(
        memory=MEMORY,
        cpus=2,
        kernel=Images(store, NoProgress()).crashed_kernel().image,
        initrd=ramdisk.path / IMAGE,
        append=CRASH_PARMLINE,
    )
    path = directory / "dump.elf"
    with (
        GuestRam.create(spec.memory) as ram,
        Qemu.start(find_qemu(), spec, ram, directory, name="crash") as qemu,
    ):
        qemu.console.expect_exact(PROMPT, timeout=deadline.remaining)
        qemu.console.sendline(f"plant {SEED}")
        qemu.console.expect(PLANTED, timeout=deadline.remaining)
        pages, messages = (int(number) for number in qemu.console.match.groups())
        qemu.console.expect_exact(PROMPT, timeout=deadline.remaining)
        qemu.console.sendline("echo c > /proc/sysrq-trigger")
        assert qemu.monitor.wait_event(("GUEST_PANICKED",), deadline) is not None
        qemu.monitor.execute(
            "dump-guest-memory",
            {"paging": False, "protocol": f"file:{path}"},
            deadline=deadline,
        )
    path.chmod(0o600)
    return PlantedDump(path, pages, messages)


def test_all_that_was_planted_is_in_the_dump(planted: PlantedDump):
    result = planted.check()
    assert [finding.message for finding in result.findings] == []
    assert result.passed
    assert result.compared == planted.pages + planted.messages
    assert planted.messages > 0
    for kind in set(Kind) - {Kind.LEDGER, Kind.MESSAGE}:
        assert f"{kind.title} " in result.notes[0]


@pytest.mark.parametrize("mib", [16, 32, 48, 64, 128, 200])
def test_any_hsa_has_content_on_both_sides(planted: PlantedDump, mib: int):
    assert planted.check(mib << 20).passed


def test_a_changed_byte_in_the_dump_is_found(planted: PlantedDump):
    with ElfDump.open(planted.path) as dump:
        (segment,) = dump.segments
        start = dump.layout.loads[0].offset + HSA
        data = dump.content.read(start, segment.size - HSA)
        within = next(content._MAGIC.finditer(data)).start() + 100
        at, old = start + within, data[within]
    with planted.path.open("r+b") as file:
        for byte, passed in ((old ^ 1, False), (old, True)):
            file.seek(at)
            file.write(bytes([byte]))
            file.flush()
            assert planted.check().passed is passed
