"""Real dumps of real crashes, read with drgn: undamaged, and damaged in known places."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drgn import Object, offsetof
from drgn.helpers.linux.pid import find_task
from drgn.helpers.linux.slab import find_slab_cache

from harness.dump.byte_source import File
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.reader import Dump, Segment
from harness.s390x.cpu import CpuState
from harness.verify.semantic.drgn_reader.__main__ import READERS
from harness.verify.semantic.drgn_reader.target import open_kernel
from tests.support.dumps.victim import Victim, vmlinux_of

pytestmark = pytest.mark.e2e

# trigger -> the process, and a function on the stack of a CPU
CRASHES = {
    "sysrq-c": ("sh", "sysrq_handle_crash"),
    "init-killed": ("sh", "do_exit"),
    "oops-hardirq": ("sh", "zcrash_oops"),
    "lkdtm-panic": ("sh", "lkdtm_PANIC"),
    "lkdtm-bug": ("sh", "lkdtm_BUG"),  # its address is behind the function's end
    "lkdtm-exhaust-stack": ("sh", "lkdtm_EXHAUST_STACK"),
    "lkdtm-loop": ("sh", "lkdtm_LOOP"),  # not on the CPU's last stack
}
SCENARIO = f"""
description = "dumps to be read"
[matrix]
trigger = {[*CRASHES]}
[crashed]
memory = "256M"
smp = 2
"""
PSW_WAIT = 1 << 49
POISON = struct.pack(">Q", 0xDEAD_BEEF_0000)


def semantic(document: Any) -> Any:
    (check,) = [check for check in document["checks"] if check["check"] == "semantic"]
    return check


@pytest.fixture(scope="module")
def crashes(zharness, images, tmp_path_factory):
    """Trigger -> evidence of its run."""
    work = tmp_path_factory.mktemp("semantic")
    (work / "dumps.toml").write_text(SCENARIO)
    done = zharness("run", work / "dumps.toml", "--json", "--output", work / "evidence")
    assert done.code == 0, done.out + done.err
    runs = done.json["runs"]
    return {trigger: Path(run["directory"]) for trigger, run in zip(CRASHES, runs, strict=True)}


@pytest.mark.parametrize("trigger", CRASHES)
def test_the_stack_leads_to_where_it_crashed(crashes, trigger):
    check = semantic(json.loads((crashes[trigger] / "verdict.json").read_bytes()))
    assert check["passed"], check
    assert not check["skipped"]
    assert len(check["notes"]) == 2  # one for each CPU; drgn knows all functions
    assert check["compared"] > 150
    task, function = CRASHES[trigger]
    (note,) = [note for note in check["notes"] if f" < {function} < " in note]
    assert f", {task} (pid " in note


def test_a_dump_is_opened_with_drgn(zharness, crashes):
    evidence = next(iter(crashes.values()))
    code = "print(prog['init_task'].comm.string_().decode())"
    opened = zharness("drgn", evidence, "-c", code)
    assert (opened.code, opened.out.strip()) == (0, "swapper/0"), opened.err
    failed = zharness("drgn", evidence, "-c", "prog['nothing']")
    assert failed.code == 2
    assert "-c: " in failed.err
    assert "could not find 'nothing'" in failed.err


@pytest.fixture
def victim(crashes, tmp_path) -> Iterator[Victim]:
    source, evidence = crashes["sysrq-c"], tmp_path / "evidence"
    subprocess.run(["cp", "-r", "--sparse=always", source, evidence], check=True)
    path = source / "dump/dump"
    with ElfDump.open(path) as dump:
        yield Victim(evidence, dump, open_kernel(dump, path, vmlinux_of(source)))


def task_list(victim: Victim) -> str:
    victim.overwrite(find_task(victim.program, 2).tasks.next, POISON)
    return "task list: tasks.next after kthreadd (pid 2, task "


def task_list_skips_one(victim: Victim) -> str:
    kthreadd = find_task(victim.program, 2)
    behind = int(kthreadd.tasks.next.next).to_bytes(8, "big")
    victim.overwrite(kthreadd.tasks.next, behind)
    return "task list: the task 0x"


def release(victim: Victim) -> str:
    victim.overwrite(victim.program["init_uts_ns"].name.release, b"6.6.6\0")
    return "UTS names: release is '6.6.6', but the console says 'Linux version "


def log_text(victim: Victim) -> str:
    ring = victim.program["prb"].text_data_ring
    start, size = int(ring.data), 1 << int(ring.size_bits)
    at = victim.program.read(start, size).index(b"Run /init as init process")
    text = Object(victim.program, "char", address=start + at)
    victim.overwrite(text, b"RUN")
    return "kernel log: has no line ["


def current_task(victim: Victim) -> str:
    """Damage the lowcore of the CPU that crashed."""
    lowcore = victim.program.type("struct lowcore")
    (cpu,) = [cpu for cpu in victim.dump.cpus if cpu.psw_mask & PSW_WAIT]
    other = int(find_task(victim.program, 2)).to_bytes(8, "big")
    victim.overwrite_physical(cpu.prefix + offsetof(lowcore, "current_task"), other)
    return "CPUs: CPU "


def current_task_nowhere(victim: Victim) -> str:
    (cpu,) = [cpu for cpu in victim.dump.cpus if cpu.psw_mask & PSW_WAIT]
    at = offsetof(victim.program.type("struct lowcore"), "current_task")
    victim.overwrite_physical(cpu.prefix + at, POISON)
    return f"CPUs: FaultError: CPU with prefix {cpu.prefix:#x}: "


def stack(victim: Victim) -> str:
    """Damage the whole stack of the task that crashed."""
    base, size = int(find_task(victim.program, 1).stack), int(victim.program["THREAD_SIZE"])
    for at in range(base, base + size, 4096):  # its pages are not contiguous
        victim.overwrite(Object(victim.program, "char", address=at), bytes(4096))
    return "CPUs: no stack leads to sysrq_handle_crash, where the system crashed: CPU 0, "


def free_blocks(victim: Victim) -> str:
    area = victim.program["contig_page_data"].node_zones[0].free_area[10]
    victim.overwrite(area.nr_free, (int(area.nr_free) + 1).to_bytes(8, "big"))
    return "free lists: zone DMA, order 10: "


def slab_cache(victim: Victim) -> str:
    cache = find_slab_cache(victim.program, "task_struct")
    victim.overwrite(cache.node[0].partial.next, POISON)
    return "slab caches: task_struct: "


DAMAGES: tuple[Callable[[Victim], str], ...] = (
    *(task_list, task_list_skips_one, release, log_text, current_task, stack),
    *(current_task_nowhere, free_blocks, slab_cache),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_named(zharness, victim, damage):
    expected = damage(victim)
    done = zharness("verify", victim.evidence, "--json")
    assert done.code == 1, done.err
    messages = [finding["message"] for finding in semantic(done.json)["findings"]]
    assert any(message.startswith(expected) for message in messages), messages


def test_half_a_dump_is_wrong_not_an_error(zharness, victim):
    dump = victim.evidence / "dump/dump"
    with dump.open("r+b") as file:
        file.truncate(dump.stat().st_size // 2)
    collected = victim.evidence / "dump/collected.json"  # as if the disk had no more data
    found = json.loads(collected.read_text()) | {"size": dump.stat().st_size}
    collected.write_text(json.dumps(found))
    done = zharness("verify", victim.evidence, "--json")
    assert done.code == 1, done.err
    assert semantic(done.json)["findings"]
    assert "Traceback" not in done.err


def test_a_vmlinux_that_was_moved_is_named_by_hand(zharness, victim, tmp_path):
    recorded = vmlinux_of(victim.evidence)
    for file in ("run.json", "crash/machine.json"):
        path = victim.evidence / file
        text = path.read_text().replace(str(recorded), "/nowhere/vmlinux")
        path.unlink()  # a crash from the store is read-only
        path.write_text(text)
    alone = zharness("verify", victim.evidence, "--json")
    assert alone.code == 0, alone.err
    assert "/nowhere/vmlinux" in semantic(alone.json)["skipped"]
    moved = tmp_path / "vmlinux"
    moved.symlink_to(recorded)
    done = zharness("verify", victim.evidence, "--vmlinux", moved, "--json")
    assert done.code == 0, done.err
    assert semantic(done.json)["compared"] > 150
    assert zharness("verify", victim.evidence, "--vmlinux", tmp_path / "none").code == 2
    other = tmp_path / "other"
    shutil.copyfile(shutil.which("true") or "", other)
    refused = zharness("verify", victim.evidence, "--vmlinux", other)
    assert refused.code == 3
    assert str(other) in refused.err
    assert "Traceback" not in refused.err


class Raw(Dump):
    """A dump with memory and registers of a crash, in a format that drgn does not know."""

    format = "s390"  # one that drgn cannot open itself

    def __init__(self, crash: Path) -> None:
        self.content = File.open(crash / "ram.img")
        self.name = str(crash)
        self.segments = (Segment(0, self.content.size, self.content),)
        states = json.loads((crash / "cpus.json").read_bytes())["cpus"]
        self._cpus = tuple(map(CpuState.from_json, states))

    @property
    def cpus(self) -> tuple[CpuState, ...]:
        return self._cpus

    @property
    def length(self) -> int:
        return self.content.size


@pytest.mark.parametrize("trigger", ["sysrq-c", "oops-hardirq"])
def test_any_format_says_the_same_as_elf(crashes, trigger):
    evidence = crashes[trigger]
    vmlinux, path = vmlinux_of(evidence), evidence / "dump/dump"
    with ElfDump.open(path) as elf, Raw(evidence / "crash") as raw:
        of_elf, of_raw = open_kernel(elf, path, vmlinux), open_kernel(raw, path, vmlinux)
        for part, read in READERS.items():
            assert read(of_raw, raw) == read(of_elf, elf), part
