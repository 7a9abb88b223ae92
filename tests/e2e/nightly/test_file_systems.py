"""XFS and btrfs receive a dump, and a guest copies it out: what is wrong on the disk is found."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from harness.evidence.names import DUMP
from harness.host.paths import default_store
from harness.images.kernel.spec import driver_of
from harness.images.provide import Images
from harness.images.store import Store
from harness.progress import NoProgress
from harness.run.machines import collect
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.model import Dump

pytestmark = pytest.mark.e2e

PAGE = 4096
PROGRESS = NoProgress()
CELL = "[dump.partition=1,table=dos]"


@pytest.fixture(params=[DiskLayout.XFS, DiskLayout.BTRFS])
def layout(request) -> DiskLayout:
    return request.param


@pytest.fixture
def dumped(zharness, images, layout, tmp_path) -> Path:
    """The evidence of a run whose disk is kept."""
    output = tmp_path / "evidence"
    ran = zharness("run", f"{layout}{CELL}", "--keep", "--output", output, timeout=3000)
    assert ran.code == 0, ran.out + ran.err
    return output


def changed_byte(evidence: Path) -> None:
    """Change one byte of a page of the dump where it is on the disk, in each copy of it."""
    content = (evidence / "dump" / DUMP).read_bytes()
    starts = range(len(content) // 2 // PAGE * PAGE, len(content), PAGE)
    page = next(page for at in starts if any(page := content[at : at + PAGE]))
    with (evidence / "disk.img").open("r+b") as file, mmap.mmap(file.fileno(), 0) as disk:
        at, found = disk.find(page), 0
        while at >= 0:
            disk[at] ^= 1
            at, found = disk.find(page, at + PAGE), found + 1
    assert found


def collected_again(evidence: Path, layout: DiskLayout) -> str:
    (evidence / "dump" / DUMP).unlink(missing_ok=True)
    how = Dump.model_validate({"layout": layout, "config": [driver_of(layout)]})
    images = Images(Store(default_store(), PROGRESS), PROGRESS)
    collected = collect(evidence / "disk.img", how, evidence / "dump", PROGRESS, None, images)
    collected.save(evidence / "dump")
    return collected.note


def test_a_byte_that_changes_on_the_disk_makes_the_dump_wrong(zharness, dumped, layout):
    assert collected_again(dumped, layout).startswith("/dump.0 on sda1 at 0x100000, ")
    assert zharness("verify", dumped).code == 0, "the same disk gives the same dump"
    changed_byte(dumped)
    note = collected_again(dumped, layout)
    again = zharness("verify", dumped, "--json")
    assert again.code == 1, again.out + again.err
    pages = next(check for check in again.json["checks"] if check["check"] == "pages")
    assert not pages["passed"]
    if layout is DiskLayout.BTRFS:  # it has checksums of its data
        assert note.startswith("btrfs on partition 1 cannot be read: "), note
        return
    assert note.startswith("/dump.0 on sda1")
    assert pages["findings"][0]["message"].startswith("1 of "), pages["findings"]


def test_a_file_system_that_cannot_be_mounted_leaves_no_dump(zharness, dumped, layout):
    with (dumped / "disk.img").open("r+b") as disk:
        disk.seek((1 << 20) + (0x10000 if layout is DiskLayout.BTRFS else 0))
        disk.write(bytes(PAGE))
    note = collected_again(dumped, layout)
    assert note.startswith(f"{layout} on partition 1 cannot be read: mount: "), note
    assert zharness("verify", dumped).code == 1
