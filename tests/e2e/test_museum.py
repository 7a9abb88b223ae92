"""The harness finds a former bug of Linux in the dump kernel; all patches of the museum apply."""

from __future__ import annotations

import pytest

from harness.host.paths import data_dir, default_store
from harness.images.command import Tools
from harness.images.kernel.source import kernel_source
from harness.images.kernel.spec import museum
from harness.images.store import Store
from harness.progress import NoProgress

pytestmark = pytest.mark.e2e

EXHIBIT = "todpreg-eight-bytes"  # ccache has all its objects but one


def test_a_bug_that_linux_had_is_found(zharness, images, tmp_path):
    file = data_dir() / "scenarios/museum" / f"{EXHIBIT}.toml"
    ran = zharness("run", file, "--json", "--output", tmp_path / "evidence")
    assert ran.code == 0, ran.out + ran.err
    wrong = {
        check["check"]: [finding["message"] for finding in check["findings"]]
        for check in ran.json["checks"]
        if check["findings"]
    }
    assert wrong == {"registers": ["CPU 0: ELF note 0x303 has 8 bytes instead of 4"]}


def test_every_patch_fits_the_source(images, tmp_path):
    tools = Tools(tmp_path / "log", "the museum")
    source = kernel_source(Store(default_store(), NoProgress()), NoProgress())
    source.place(tree := tmp_path / "tree", tools)
    for patch in map(str, museum().values()):
        tools.run(["patch", "--dry-run", "-d", str(tree), "-p1", "--batch", "-i", patch])
