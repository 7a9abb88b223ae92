"""Which disk a dump load is from, and what becomes of the others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.machine.dump_load.other_disks import OtherDisks
from harness.machine.dump_load.request import LoadRequest
from harness.s390x.ipl import (
    BlockDevice,
    FcpDevice,
    LoadParameters,
    block_device,
    fcp_block,
    load_parameters,
)
from harness.s390x.wiring import DUMP_DISK, HBA_DEVNO, WWPN, fcp_device, lun_of

ASKED = LoadParameters(bootprog=3, br_lba=40, scp_data=b"dump_debug=3")


def crash(block: bytes | None = None) -> Any:
    return SimpleNamespace(dump_block=block)


@pytest.mark.parametrize(
    ("lun", "fcp"), [(0, 0), (5, 5 << 48), (255, 255 << 48), (300, 0x412C << 48)]
)
def test_a_lun_is_in_the_first_sixteen_bits(lun: int, fcp: int):
    assert fcp_device(lun).lun == fcp
    assert lun_of(fcp_device(lun)) == lun


@pytest.mark.parametrize("lun", [0x4010400000000000, 1, 0x8001 << 48, 0x1FF << 48])
def test_qemu_has_luns_of_one_level_only(lun: int):
    assert lun_of(FcpDevice(HBA_DEVNO, WWPN, lun)) is None


def test_a_low_lun_may_be_flat_too():
    assert lun_of(FcpDevice(HBA_DEVNO, WWPN, 0x4005 << 48)) == 5


def test_the_operators_request_is_in_the_block():
    request = LoadRequest(5, 0x4711, ASKED)
    block = request.block(crash())
    assert block_device(block) == BlockDevice(FcpDevice(HBA_DEVNO, 0x4711, 5 << 48), dump=True)
    assert load_parameters(block) == ASKED
    assert int.from_bytes(block[:4], "big") == len(block)
    assert request.lun_in(block) == 5


def test_nothing_asked_is_what_it_always_was():
    assert LoadRequest().block(crash()) == fcp_block(DUMP_DISK, dump=True)


def test_what_the_crashed_system_asks_is_followed():
    own = fcp_block(fcp_device(9, 0x99), dump=True, parameters=ASKED)
    for request in (LoadRequest(), LoadRequest(9), LoadRequest(9, 0x99)):
        assert request.block(crash(own)) == own
        assert request.lun_in(own) == 9


@pytest.mark.parametrize(
    ("block", "request_", "lacking"),
    [
        (fcp_block(FcpDevice(0x4711, WWPN, 0), dump=True), LoadRequest(), "adapter is 0.0.1234"),
        (
            fcp_block(FcpDevice(HBA_DEVNO, WWPN, 1), dump=True),
            LoadRequest(),
            "such as 0x0001000000000000",
        ),
        (fcp_block(fcp_device(9), dump=True), LoadRequest(8), "has LUN 8 (dump.lun)"),
        (
            fcp_block(fcp_device(9), dump=True),
            LoadRequest(wwpn=1),
            "0x0000000000000001 (dump.wwpn)",
        ),
        (fcp_block(fcp_device(9), dump=False), LoadRequest(), "no SCSI disk for a dump"),
        (b"", LoadRequest(), "no SCSI disk for a dump"),
    ],
)
def test_what_is_missing_is_said(block: bytes, request_: LoadRequest, lacking: str):
    with pytest.raises(HarnessError) as refused:
        request_.block(crash(block))
    assert refused.value.message.startswith("the crashed system asked for a dump by ")
    assert refused.value.message.endswith(lacking)


def test_two_cannot_say_what_is_loaded():
    with pytest.raises(HarnessError, match="and has set them"):
        LoadRequest(parameters=ASKED).block(crash(fcp_block(DUMP_DISK, dump=True)))


def test_the_dump_disk_is_no_other_disk():
    request = LoadRequest(other_luns=(9,))
    with pytest.raises(HarnessError, match="LUN 9 is the dump disk's"):
        request.lun_in(fcp_block(fcp_device(9), dump=True))


def test_other_disks_are_seen_to_change_and_are_removed(tmp_path: Path):
    with OtherDisks(tmp_path, (1, 7)) as others:
        first, second = (disk.path for disk in others.disks)
        assert first.read_bytes() != second.read_bytes()
        assert others.changed() == ()
        with second.open("r+b") as file:
            file.write(b"x")
        assert others.changed() == (7,)
        with first.open("ab") as file:
            file.write(b"x")
        assert others.changed() == (1, 7)
    assert list(tmp_path.iterdir()) == []
