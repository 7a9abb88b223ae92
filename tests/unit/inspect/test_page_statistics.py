"""The number of zero pages does not depend on how the data is divided."""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump.reader import Segment
from harness.inspect import page_statistics
from harness.progress import NoProgress
from tests.support.dumps.alone import OtherDump
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import PAGE


class InParts(Memory):
    """Content whose data stands in pieces of 1 KiB, as on a file system with such blocks."""

    def data_extents(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        end = self.size if end is None else end
        for at in range(start, end, 1024):
            size = min(1024, end - at)
            if any(self.read(at, size)):
                yield at, size


def notes_on_content(content: Memory, size: int, start: int = 0) -> tuple[str, ...]:
    dump = OtherDump([Segment(start, size, content)])
    return page_statistics.check(dump, NoProgress()).notes


def test_a_page_whose_data_is_in_parts_is_one_page():
    content = bytes(PAGE) * 2 + b"a" * 1024 + bytes(2048) + b"b" * 1024 + bytes(PAGE) * 3
    notes = ("5 pages are zero (83.3 %)", "at least 0 pages repeat another (0.0 %)")
    assert notes_on_content(InParts(content, "x"), len(content)) == notes
    assert notes_on_content(Memory(content, "x"), len(content)) == notes


def test_a_page_that_is_not_whole_is_one_page():
    content = b"a" * 1024
    notes = ("0 pages are zero (0.0 %)", "at least 0 pages repeat another (0.0 %)")
    assert notes_on_content(InParts(content, "x"), len(content)) == notes


def test_memory_that_begins_within_a_page_has_no_more_pages_than_it_touches():
    content = b"a" * 1024 + b"b" * 2048
    notes = notes_on_content(InParts(content, "x"), len(content), PAGE - 1024)
    assert notes[0] == "0 pages are zero (0.0 %)"
