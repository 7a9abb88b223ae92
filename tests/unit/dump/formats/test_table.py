from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.dump.byte_source import ByteSource
from harness.dump.convert import convert
from harness.dump.describe import describe
from harness.dump.detect import open_dump, read_dump
from harness.dump.formats import table
from harness.dump.formats.table import FORMATS, MAGIC_SIZE, Format, format_named
from harness.dump.reader import Dump, Segment
from harness.errors import UsageError
from harness.inspect import check
from harness.progress import NoProgress, Task
from harness.s390x.cpu import CpuState
from tests.fuzz.seeds import all_readers
from tests.support.cpus import make_cpu
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import Load, stored, vmcore

MAGIC = b"MADE UP\0"
DOCS = Path(__file__).parents[4] / "docs/dumps.md"


class MadeUpDump(Dump):
    """A magic number, and memory from absolute 0 on."""

    format = "made_up"
    cpus: tuple[CpuState, ...] = ()

    def __init__(self, content: ByteSource) -> None:
        self.content, self.name = content, content.name
        memory = content.part(len(MAGIC), content.size - len(MAGIC))
        self.segments = (Segment(0, memory.size, memory),)

    @property
    def length(self) -> int:
        return self.content.size


def write_made_up(dump: Dump, target: Path, task: Task) -> None:
    (memory,) = dump.memory_map
    target.write_bytes(MAGIC + dump.read(memory.start, memory.end))
    task.update(memory.end)


MADE_UP = Format("made_up", MAGIC, MadeUpDump, write_made_up, has_gaps=False)


@pytest.fixture
def with_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "FORMATS", (*FORMATS, MADE_UP))


@pytest.mark.usefixtures("with_made_up")
def test_a_row_is_all_that_a_new_format_takes(tmp_path: Path):
    source, made_up, back = (tmp_path / name for name in ("source", "made_up", "back"))
    memory = bytes(range(256)) * 64
    source.write_bytes(vmcore(memory, [stored(make_cpu(1))], loads=(Load(0, 0x4000, 0),)))
    with open_dump(source) as dump:
        convert(dump, made_up, "made_up", NoProgress())
    with open_dump(made_up) as dump:
        described = describe(dump)
        assert (described["format"], described["memory"]) == ("made_up", 0x4000)
        assert dump.read(0x1000, 256) == bytes(range(256))
        assert check.map_alone(dump).passed
        convert(dump, back, "elf", NoProgress())
    with open_dump(back) as dump:
        assert (dump.format, dump.read(0, 256)) == ("elf", bytes(range(256)))
        with pytest.raises(UsageError, match="there are elf, s390, s390_ext, made_up"):
            convert(dump, tmp_path / "other", "unknown", NoProgress())


@pytest.mark.usefixtures("with_made_up")
def test_properties_of_a_row_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dump = read_dump(Memory(MAGIC + bytes(0x4000), "dump"))
    assert check.map_alone(dump).notes == ()
    monkeypatch.setattr(table, "FORMATS", (*FORMATS, replace(MADE_UP, filtered=True)))
    assert check.map_alone(dump).notes == ("0 gaps, where pages were left out",)


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_a_row_is_complete(row: Format):
    """Its reader names it as the row does, the fuzzer has seeds of it, and the page names it."""
    assert 0 < len(row.magic) <= MAGIC_SIZE
    (seeds,) = (reader.seeds for reader in all_readers() if reader.name == row.name)
    for seed in seeds:
        assert read_dump(Memory(seed.content, row.name)).format == row.name
    assert row.name in DOCS.read_text().lower()
    assert format_named(row.name) is row


def test_no_two_formats_have_the_same_magic():
    for row in FORMATS:
        others = [other for other in FORMATS if other is not row]
        assert not [other.name for other in others if other.magic.startswith(row.magic)]
