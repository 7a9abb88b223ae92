"""Whether libkdumpfile and our reader agree, with invented and real answers."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.dump.detect import open_dump
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.refusal import OtherReader, Refusal
from harness.errors import HostError
from harness.judges import libkdumpfile
from harness.judges.libkdumpfile import Opinion
from tests.support.dumps import small
from tests.support.dumps.small import CPUS, MEMORY

BLOCKS = [(0, 8192), (8192, 8192)]
DIGESTS = tuple(hashlib.sha256(MEMORY[at : at + size]).hexdigest() for at, size in BLOCKS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small.written(tmp_path)


def opinion(path: Path, **changes: Any) -> Opinion:
    with open_dump(path) as dump:
        assert dump.vmcoreinfo is not None
        facts = {"opened": "yes", "machine": "s390x", "vmcoreinfo": dump.vmcoreinfo.hex()}
    cpus = tuple({"pswa": f"{cpu.psw_addr:x}", "r3": f"{cpu.gprs[3]:x}"} for cpu in CPUS)
    return Opinion(
        facts | changes.get("facts", {}),
        changes.get("cpus", cpus),
        changes.get("memory", DIGESTS),
    )


@pytest.fixture
def said(path: Path) -> Callable[..., list[str]]:
    def said(**changes: Any) -> list[str]:
        with open_dump(path) as dump:
            result = libkdumpfile.compare(dump, BLOCKS, opinion(path, **changes))
        assert result.passed is (not result.findings)
        return [finding.message for finding in result.findings]

    return said


def test_all_that_it_tells_is_compared(path: Path):
    with open_dump(path) as dump:
        result = libkdumpfile.compare(dump, BLOCKS, opinion(path))
    assert result.passed
    facts, cpus, registers, blocks = 3, 1, 4, 2
    assert result.compared == facts + cpus + registers + blocks


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"facts": {"machine": "x86_64"}}, "machine: libkdumpfile has x86_64, we s390x"),
        ({"facts": {"page_size": 65536}}, "page size: libkdumpfile has 65536, we 4096"),
        ({"facts": {"vmcoreinfo": "00"}}, "VMCOREINFO: libkdumpfile has 00"),
        ({"facts": {"opened": "unknown format"}}, "whether it is a dump: "),
        ({"cpus": ({}, {}, {})}, "CPUs: libkdumpfile has 3, we 2"),
        ({"cpus": ({}, {"r3": "0"})}, "CPU 1: r3: libkdumpfile has 0"),
        (
            {"memory": (DIGESTS[0], "NoDataException: gone")},
            "memory at 0x2000-0x3fff: libkdumpfile",
        ),
    ],
)
def test_each_disagreement_is_red(
    said: Callable[..., list[str]], changes: dict[str, Any], what: str
):
    (message,) = said(**changes)
    assert message.startswith(what)


def test_it_is_not_asked_for_memory_that_was_left_out(path: Path, monkeypatch: pytest.MonkeyPatch):
    size = len(MEMORY)
    whole, half = (struct.pack(">2Q", there, size) for there in (size, size // 2))
    path.write_bytes(path.read_bytes().replace(whole, half, 1))
    asked: list[tuple[int, int]] = []

    def ask(path: Path, blocks: list[tuple[int, int]]) -> Opinion:
        asked.extend(blocks)
        return Opinion({"opened": "yes"}, (), ())

    monkeypatch.setattr(libkdumpfile, "ask", ask)
    with open_dump(path) as dump:
        assert libkdumpfile.compared(path, dump).passed
    assert asked == [(0, size // 2)]


def test_it_does_not_get_formats_that_it_does_not_know(path: Path, tmp_path: Path):
    with open_dump(path) as dump:
        dump.format = "s390_ext"
        result = libkdumpfile.check(path, dump)
    assert result.skipped_reason == "libkdumpfile does not know s390_ext"


def test_it_is_not_asked_about_what_it_never_reads_of_qemu(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    why = Refusal((OtherReader.LIBKDUMPFILE,), "of its section headers", usual=True)
    monkeypatch.setattr(ElfDump, "refusals", (why,))
    with open_dump(path) as dump:
        result = libkdumpfile.check(path, dump)
    assert result.skipped_reason == (
        "libkdumpfile cannot take any registers: of its section headers, as in other dumps of QEMU"
    )


def test_a_failing_reader_is_not_a_disagreement(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A binding with other names than were known is no judgement of the dump."""
    monkeypatch.setattr(libkdumpfile, "PYTHON", "false")
    with pytest.raises(HostError, match="libkdumpfile's reader failed"):
        libkdumpfile.ask(path, BLOCKS)


def test_a_host_without_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(libkdumpfile, "installed", lambda: False)
    with open_dump(path) as dump:
        result = libkdumpfile.check(path, dump)
    assert "is not installed: apt-get install python3-libkdumpfile" in str(result.skipped_reason)
