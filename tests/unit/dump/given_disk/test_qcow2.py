"""qcow2 images of users: unpacked, or refused in one line."""

from __future__ import annotations

import os

import pytest

from harness.dump.detect import open_dump
from harness.dump.given_disk.image import copy_image, open_image
from harness.errors import EvidenceError
from tests.support.disks.dump_partition import disk_with
from tests.support.disks.qcow2 import CLUSTER, qcow2
from tests.support.dumps import small

CONTENT = bytes(3 * CLUSTER) + os.urandom(CLUSTER) + b"\x01" * 1000


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_the_disk_in_an_image_is_copied_with_its_holes(tmp_path, packed):
    image, copy = write(tmp_path / "a.qcow2", qcow2(CONTENT, packed=packed)), tmp_path / "copy"
    assert copy_image(image, copy) == "qcow2"
    assert copy.read_bytes() == CONTENT
    assert copy.stat().st_blocks * 512 < len(CONTENT)


def test_a_plain_image_is_copied_as_it_is(tmp_path):
    image, copy = write(tmp_path / "a.img", CONTENT), tmp_path / "copy"
    assert copy_image(image, copy) == "raw"
    assert copy.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": 4}, "version 4 is not known"),
        ({"backing_at": 0x200, "backing_size": 11}, "a backing file, which is not read"),
        ({"incompatible": 4}, "in an external file, which is not read"),
        ({"incompatible": 8}, "compressed with zstd"),
        ({"incompatible": 16}, "extended L2 entries"),
        ({"incompatible": 2}, "marked as corrupt"),
        ({"incompatible": 1 << 40}, "incompatible features 0x10000000000 are not known"),
        ({"crypt": 2}, "encrypted"),
        ({"cluster_bits": 40}, "clusters have 2^40 bytes"),
        ({"size": 100 << 40}, "is too large"),
        ({"size": 0}, "it is empty"),
        ({"l1_entries": 1 << 30}, "its L1 table has 1073741824 entries"),
        ({"size": 1 << 40}, "its L1 table has 1 entries"),
        ({"l1_at": 1 << 50}, "truncated: qcow2 table at offset 0x4000000000000"),
    ],
)
def test_an_image_that_cannot_or_must_not_be_read_is_refused(tmp_path, fields, said):
    image = write(tmp_path / "a.qcow2", qcow2(CONTENT, **fields))
    with pytest.raises(EvidenceError) as error:
        copy_image(image, tmp_path / "copy")
    assert said in error.value.message
    assert error.value.message.startswith(str(image))


def test_a_dirty_image_is_read(tmp_path):
    image = write(tmp_path / "a.qcow2", qcow2(CONTENT, incompatible=1))
    with open_image(image) as disk:
        assert disk.upto(0, len(CONTENT) + 1) == CONTENT


def test_an_image_whose_clusters_are_all_at_one_place_is_not_unpacked(tmp_path):
    data = bytearray(qcow2(b"\x01" * (4000 * CLUSTER // 1000)))
    entry = data[2 * CLUSTER : 2 * CLUSTER + 8]
    data[2 * CLUSTER : 3 * CLUSTER] = entry * (CLUSTER // 8)
    data[24:32] = (CLUSTER // 8 * CLUSTER).to_bytes(8, "big")
    with pytest.raises(EvidenceError, match="parts of itself more than once"):
        copy_image(write(tmp_path / "a.qcow2", bytes(data)), tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_blocks * 512 <= len(data)


def test_a_cluster_behind_the_end_is_a_lie(tmp_path):
    data = bytearray(qcow2(CONTENT))
    data[2 * CLUSTER : 2 * CLUSTER + 8] = (1 << 40).to_bytes(8, "big")
    with pytest.raises(EvidenceError, match="0x10000000000, behind its end"):
        copy_image(write(tmp_path / "a.qcow2", bytes(data)), tmp_path / "copy")


@pytest.mark.parametrize("damage", [b"\xff" * 64, b""])
def test_a_damaged_compressed_cluster_is_told(tmp_path, damage):
    data = bytearray(qcow2(CONTENT, packed=True))
    data[3 * CLUSTER : 3 * CLUSTER + len(damage)] = damage
    if not damage:
        del data[3 * CLUSTER + 1000 :]
    with pytest.raises(EvidenceError, match="a compressed cluster at 0x30000"):
        copy_image(write(tmp_path / "a.qcow2", bytes(data)), tmp_path / "copy")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"KDMV" + bytes(600), "is an image in the format VMDK"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe" + bytes(600), "is an image in the format VDI"),
        (b"short", "5 bytes are no disk"),
        (b"", "0 bytes are no disk"),
    ],
)
def test_what_is_no_plain_image_is_refused(tmp_path, data, said):
    with pytest.raises(EvidenceError, match=said):
        copy_image(write(tmp_path / "a.img", data), tmp_path / "copy")


def test_a_dump_is_found_on_a_disk_in_qcow2(tmp_path):
    dump = small.written(tmp_path).read_bytes()
    image = write(tmp_path / "a.qcow2", qcow2(disk_with(tmp_path, dump).read_bytes()))
    with open_dump(image) as found:
        assert found.content.upto(0, len(dump)) == dump
