"""The kernel lab, with real kernels: what takes several dumps."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.images.store import Store, sha256
from tests.support.command_line.zharness import Zharness

pytestmark = pytest.mark.e2e

BUILD_SECONDS = 1200
FEW = 100  # of more than 700 files


def test_two_dump_kernels_side_by_side(
    zharness: Zharness, images: Any, dump_kernel: Path, tmp_path: Path
):
    kernels = (images["dump kernel"]["origin"], dump_kernel)  # the same one
    options = ("--hsa-size", "32M", "--output", tmp_path / "evidence", "--json")
    ran = zharness("kernel", "compare", *kernels, *options)
    assert ran.code == 0, ran.err
    (pair,) = ran.json
    assert pair["console_difference"] == []
    for trial in (pair["first"], pair["second"]):
        assert trial["result"] == "PASS"
        assert 0 < trial["memory_mb"] < 32
        assert trial["mb_per_second"] > 0
        assert trial["seconds"]["dump"] > 0


def test_a_changed_kernel_is_that_of_a_build_from_nothing(
    zharness: Zharness, images: Any, store: Store, tmp_path: Path
):
    build = ("kernel", "build", "dump", "--set", "CONFIG_LOG_BUF_SHIFT=15", "--json", "--store")
    other = tmp_path / "store"
    other.mkdir()
    for tree in store.find("linux-tree"):  # as large as all else
        subprocess.run(["cp", "-al", tree.path, other], check=True)
    found = []
    for place in (store.root, other):
        ran = zharness(*build, place, timeout=BUILD_SECONDS, CCACHE_DIR=str(tmp_path / "cache"))
        assert ran.code == 0, ran.err
        log = (place / ran.json["name"] / "build.log").read_text()
        found.append((sha256(Path(ran.json["image"])), log.count("\n  CC ") < FEW))
    (begun, few), (whole, all_few) = found
    assert begun == whole
    assert (few, all_few) == (True, False)
