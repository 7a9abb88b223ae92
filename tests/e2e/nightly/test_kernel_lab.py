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
    def built(place: Path, *change: str) -> tuple[str, int]:
        """The digest of a kernel, and how many files were compiled for it."""
        build = ("kernel", "build", "dump", *change, "--json", "--store", place)
        ran = zharness(*build, timeout=BUILD_SECONDS, CCACHE_DIR=str(tmp_path / "ccache"))
        assert ran.code == 0, ran.err
        log = (place / ran.json["name"] / "build.log").read_text()
        return sha256(Path(ran.json["image"])), log.count("\n  CC ")

    begun, whole = tmp_path / "begun", tmp_path / "whole"
    for place in (begun, whole):
        place.mkdir()
        for tree in store.find("linux-tree"):
            subprocess.run(["cp", "-a", "--reflink=auto", tree.path, place], check=True)
    built(begun)
    changes = ("--set", "CONFIG_LOG_BUF_SHIFT=15"), ("--patch", "todpreg-eight-bytes")
    for change in changes:
        (one, few), (other, many) = (built(place, *change) for place in (begun, whole))
        assert one == other
        assert 0 < few < FEW < many
