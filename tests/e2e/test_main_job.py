"""The main job: boot, crash, dump IPL, Python dump tool, collection, bit-exact verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

STATUS_AREA = "page 0x1000"
REGISTERS_PER_CPU = 103
SHARED_MEMORY = Path("/dev/shm")


def check(document, name):
    (result,) = [result for result in document["checks"] if result["check"] == name]
    return result


@pytest.mark.parametrize("layout", ["partition", "ext4"])
def test_the_dump_equals_the_crashed_memory(run_panic, layout):
    ran, evidence = run_panic("--disk-layout", layout)
    assert ran.code == 0, ran.out + ran.err
    document = ran.json
    assert document["verdict"] == "PASS"
    pages = check(document, "pages")
    assert pages["compared"] >= 512 * 256
    assert [difference["where"] for difference in pages["allowed"]] == [STATUS_AREA]
    assert check(document, "registers")["compared"] == 2 * REGISTERS_PER_CPU
    skipped = {result["check"] for result in document["checks"] if result["skipped"]}
    unasked = {"content", "witnesses", "expectations", "files", "reipl", "own-dump"}
    assert skipped == unasked | (set() if layout == "partition" else {"superblock"})
    for name in (
        "verdict.json",
        "run.json",
        "journal.jsonl",
        "crash/ram.img",
        "crash/cpus.json",
        "crash/console.log",
        "crash/qemu-argv.json",
        "dump/dump",
        "dump/console.log",
        "dump/qemu-argv.json",
    ):
        assert (evidence / name).is_file(), name
    assert not (evidence / "disk.img").exists()
    assert (evidence / "crash/ram.img").stat().st_blocks * 512 < 256 << 20, "not sparse"


def test_debians_kernel_crashes_without_being_compiled(zharness, images, tmp_path):
    """The demo does this."""
    ran = zharness(
        "run", "quick", "--kernel", "debian", "--json", "--output", tmp_path / "evidence"
    )
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["inputs"]["crashed kernel"]["release"].endswith("-s390x")
    assert check(ran.json, "pages")["compared"] >= 256 * 256
    assert check(ran.json, "statements")["passed"]
    assert check(ran.json, "semantic")["skipped"]


def test_evidence_can_be_verified_again_and_a_broken_dump_is_wrong(run_panic, zharness):
    ran, evidence = run_panic()
    assert ran.code == 0, ran.err
    again = zharness("verify", evidence, "--json")
    assert again.code == 0
    assert again.json["checks"] == ran.json["checks"]
    with (evidence / "dump/dump").open("r+b") as dump:
        dump.seek(100 << 20)
        byte = dump.read(1)
        dump.seek(100 << 20)
        dump.write(bytes([byte[0] ^ 1]))
    broken = zharness("verify", evidence, "--json")
    assert broken.code == 1
    assert not check(broken.json, "pages")["passed"]
    (evidence / "crash/cpus.json").unlink()
    assert zharness("verify", evidence).code == 3


def test_a_stored_crash_is_dumped_again(zharness, images, tmp_path):
    created = zharness("snapshot", "create", "panic", "--json")
    assert created.code == 0, created.err
    name = created.json["name"]
    assert name in zharness("snapshot", "list").out
    assert zharness("snapshot", "show", name).code == 0
    ran = zharness("dump", name, "--hsa-size", "128M", "--json", "--output", tmp_path / "evidence")
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["inputs"]["snapshot"] == name
    outcome = json.loads((tmp_path / "evidence/dump/outcome.json").read_bytes())
    assert outcome["hsa_size"] == 128 << 20


def test_a_disk_that_is_too_small_is_the_dumps_fault(run_panic):
    ran, evidence = run_panic("--disk-size", "256M")
    assert ran.code == 1, ran.err
    assert ran.json["phase"] == "dump"
    outcome = json.loads((evidence / "dump/outcome.json").read_bytes())
    assert "Disk too small" in outcome["result_line"]


def test_nothing_is_left_in_shared_memory(run_panic):
    before = set(SHARED_MEMORY.iterdir())
    ran, evidence = run_panic()
    assert ran.code == 0, ran.err
    assert set(SHARED_MEMORY.iterdir()) == before
    shutil.rmtree(evidence)
