"""The dump system's own memory: what the verdict says of it, and why it says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.verify import dump_system
from harness.verify.checks import outcome
from harness.verify.dump_system import describe_end, why_not_readable
from harness.verify.evidence import Evidence
from harness.verify.semantic.facts import Cpu, KernelFacts, Task
from tests.support.evidence import SyntheticRun, vmcore, written
from tests.support.kernels.vmlinux import ANOTHER_ID, ID, vmlinux

NOTE = b"OSRELEASE=6.12\nBUILD-ID=" + ID.hex().encode() + b"\n"
FACTS = KernelFacts(
    cpus=(Cpu(0, 0x2000, Task(1, 7, "init"), 1, 0, ("panic", "die")),),
    log=tuple(f"line {number}" for number in range(99)),
    faults={"log": "no memory"},
    unknown={"slabs": "no type"},
)


@pytest.fixture
def evidence(tmp_path: Path):
    """Evidence of a dump system that panicked, with its memory."""
    run = SyntheticRun(outcome={"outcome": "panicked"})
    run.write(tmp_path / "run")
    system = tmp_path / "run/dump/dump-system.elf"
    system.write_bytes(vmcore(bytes(1 << 20), list(run.cpus), vmcoreinfo=NOTE))
    with Evidence.open(tmp_path / "run") as opened:
        yield replace(opened, dump_vmlinux=written(tmp_path / "vmlinux", vmlinux(ID)))


def test_the_verdict_tells_where_it_was(evidence, monkeypatch):
    monkeypatch.setattr(dump_system, "read_kernel", lambda *_: FACTS)
    lines = list(describe_end(evidence))
    assert lines[0].endswith("CPU 0, init (pid 7, task 0x1): panic < die")
    assert [line.rpartition(": ")[2] for line in lines[1:-1]] == list(FACTS.log or ())[-10:]
    assert lines[-1].endswith("log: no memory")
    assert set(lines) <= set(outcome.check(evidence).notes)


def test_a_dump_system_that_finished_is_not_asked(evidence, monkeypatch):
    monkeypatch.setattr(dump_system, "read_kernel", lambda *_: FACTS)
    done = replace(evidence, outcome={**evidence.outcome, "outcome": "finished"})
    assert not any("dump system at its end" in note for note in outcome.check(done).notes)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"dump_system": None}, "not in the evidence"),
        ({"dump_vmlinux": None}, "run it again with --dump-config CONFIG_DEBUG_INFO_DWARF5=y"),
        ({"dump_vmlinux": Path("/nowhere/vmlinux")}, "not there any more"),
    ],
)
def test_why_it_cannot_be_read(evidence, changed, why):
    assert why in (why_not_readable(replace(evidence, **changed)) or "")


def test_a_kernel_that_died_too_early_cannot_be_read(evidence):
    evidence.dump_system.write_bytes(vmcore(bytes(1 << 20), []))
    assert "had not set VMCOREINFO yet" in (why_not_readable(evidence) or "")


@pytest.mark.parametrize("damaged", [b"", b"\x7fELF", b"x" * 4096])
def test_damaged_memory_and_a_wrong_vmlinux_are_told_and_do_no_harm(evidence, tmp_path, damaged):
    wrong = replace(evidence, dump_vmlinux=written(tmp_path / "other", vmlinux(ANOTHER_ID)))
    assert "is not that of the kernel" in next(describe_end(wrong))
    evidence.dump_system.write_bytes(damaged)
    assert len(list(describe_end(evidence))) == 1
    assert outcome.check(evidence).findings


def test_drgns_trouble_is_no_trouble_of_the_verdict(evidence, monkeypatch):
    def fail(*_: object) -> KernelFacts:
        raise HostError("drgn's process was not done")

    monkeypatch.setattr(dump_system, "read_kernel", fail)
    assert [line.rpartition(": ")[2] for line in describe_end(evidence)] == [
        "drgn's process was not done"
    ]
    assert outcome.check(evidence).trouble is None
