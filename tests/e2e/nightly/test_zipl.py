"""zipl under test: what it refuses, and other ways to call it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from harness.host.paths import default_store
from harness.images import zipl_guest
from harness.images.debian.packages import ROOT, unpacked, zipl_set
from harness.images.disk import DISK
from harness.images.initramfs.build import BUILDER, initramfs
from harness.images.provide import Images
from harness.images.store import LOG, Built, Store
from harness.images.zipl.chosen import Zipl
from harness.progress import NoProgress, Progress
from harness.s390x.disk_layout import DiskLayout

pytestmark = pytest.mark.e2e

SUITE = "trixie"
# a zipl that has the dump partition in its configuration, as administrators write it
WITH_CONFIGURATION = """\
file /sbin/zipl.real ${ROOT}/sbin/zipl 0755 0 0
file /sbin/zipl ${IMAGES}/../tests/e2e/nightly/zipl-with-configuration 0755 0 0
"""


def test_a_refusal_has_the_name_and_the_words_of_zipl(zharness, images, tmp_path):
    ran = zharness(
        *("run", "quick", "--json", "--output", tmp_path / "run"),
        *("--zipl", SUITE, "--dump-partition", "7"),
    )
    assert ran.code == 3, ran.out + ran.err
    verdict = json.loads(ran.out)
    assert verdict["cause"] == "ZiplRefused"
    assert verdict["error"].startswith("zipl 2.")
    assert f"of {SUITE} refused" in verdict["error"]
    assert "Extended partitions not allowed" in verdict["error"]


def test_a_tree_gives_the_same_disk_as_its_suite(images, tmp_path):
    store = Store(default_store(), NoProgress())
    tree = unpacked(store, NoProgress(), zipl_set(SUITE)).path / ROOT
    assert digest(prepared(store, SUITE)) == digest(prepared(store, str(tree)))


def test_a_configuration_file_gives_the_same_disk(images, tmp_path, monkeypatch):
    store = Store(default_store(), NoProgress())
    by_option = digest(prepared(store))
    more = tmp_path / "more.list"
    more.write_text(WITH_CONFIGURATION)

    def guest(store: Store, progress: Progress, zipl: Zipl | None = None) -> Built:
        return initramfs(store, progress, "initramfs-builder", (*BUILDER, str(more)))

    monkeypatch.setattr("harness.images.disk.builder_initramfs", guest)
    assert zipl_guest.builder_initramfs(store, NoProgress()).key != guest(store, NoProgress()).key
    by_file = prepared(store)
    assert "Using config file '/etc/zipl.conf'" in (by_file.parent / LOG).read_text()
    assert digest(by_file) == by_option


def prepared(store: Store, zipl: str | None = None) -> Path:
    images = Images(store, NoProgress())
    kernel = images.dump_kernel()
    ramdisk = images.dump_initramfs(DiskLayout.PARTITION)
    disk = images.dump_disk(DiskLayout.PARTITION, 256 << 20, kernel, ramdisk, zipl=zipl)
    return disk.path / DISK


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
