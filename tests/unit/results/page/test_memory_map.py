"""The map of memory: it marks what differs, no more and no less, and stays small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.results.page.memory_map import MOST, WIDTH, Memory, What, memory_map
from harness.verify.findings import Finding
from harness.verify.kinds import (
    DifferingPages,
    FindingKind,
    MemoryRange,
    Page,
    PageOfDump,
    PlantedFaults,
)

PAGE = 4096
MEMORY = Memory(1 << 30, 32 << 20, (0x100000, 0x900000))


def differ(*pages: int, told: int | None = None, check: str = "pages") -> Finding:
    ranges = tuple((at * PAGE, at * PAGE + PAGE) for at in pages)
    details = DifferingPages(len(pages) if told is None else told, ranges)
    return Finding(check, FindingKind.PAGES_DIFFER, "they differ", details)


def of_what(found, what):
    return [(mark.start, mark.end, mark.pages) for mark in found.marks if mark.what is what]


def test_pages_that_differ_are_marked_and_neighbours_are_one_mark():
    page = PageOfDump(0x5000, 0, "00", "01", (), ())
    found = memory_map(
        MEMORY,
        [
            differ(3, 5, 6, 1000),
            Finding("pages", FindingKind.PAGE_DIFFERS, "again", page),
        ],
    )
    assert of_what(found, What.DIFFERS) == [
        (0x3000, 0x4000, 1),
        (0x5000, 0x7000, 2),
        (0x3E8000, 0x3E9000, 1),
    ]
    assert of_what(found, What.HSA) == [(0, 32 << 20, 8192)]
    assert of_what(found, What.IMAGE) == [(0x100000, 0x900000, 2048)]
    assert found.unlisted == 0
    assert "0x5000-0x6fff: differs, 2 pages" in [mark.words for mark in found.marks]


def test_what_else_is_wrong_has_marks_of_its_own():
    findings = [
        Finding("memory-map", FindingKind.MEMORY_GAP, "x", MemoryRange(0x9000, 0xA000)),
        Finding("memory-map", FindingKind.MEMORY_OVERLAP, "x", MemoryRange(0xB000, 0xC000)),
        Finding("pages", FindingKind.NOT_COMPARED, "x", MemoryRange(0xD000, 1 << 40)),
        Finding("content", FindingKind.PLANTED_FAULTS, "x", PlantedFaults(2, (0x1000, 0x2000))),
        Finding("content", FindingKind.PLANTED_PAGE_WRONG, "x", Page(0x1000)),
    ]
    found = memory_map(MEMORY, findings)
    assert of_what(found, What.ABSENT) == [(0x9000, 0xA000, 1)]
    assert of_what(found, What.TWICE) == [(0xB000, 0xC000, 1)]
    assert of_what(found, What.PLANTED) == [(0x1000, 0x3000, 2)]
    ((start, end, _),) = of_what(found, What.NOT_COMPARED)
    assert (start, end) == (0xD000, MEMORY.size)
    lanes = {box.mark.what: box.y for box in found.boxes}
    assert lanes[What.HSA] == lanes[What.IMAGE]
    assert len(set(lanes.values())) == 5


def test_another_dump_is_not_on_the_map():
    assert not of_what(memory_map(MEMORY, [differ(3, check="own-dump")]), What.DIFFERS)


def test_pages_of_which_nothing_says_where_are_counted():
    assert memory_map(MEMORY, [differ(3, 5, told=900)]).unlisted == 898


def test_many_ranges_are_joined_with_the_next_ones():
    pages = [*range(0, 100_000, 2), 200_000]
    found = memory_map(MEMORY, [differ(*pages)])
    marks = of_what(found, What.DIFFERS)
    assert len(marks) <= MOST
    assert sum(count for _, _, count in marks) == len(pages)
    assert marks[-1] == (200_000 * PAGE, 200_001 * PAGE, 1), "the largest gap stays"
    (joined,) = [mark for mark in found.marks if mark.ranges > 1]
    assert "pages in" in joined.words


def test_what_is_not_known_is_not_marked():
    assert memory_map(Memory(1 << 20), []).marks == ()


ADDRESSES = st.integers(-(1 << 64), 1 << 64)
RANGES = st.lists(st.tuples(ADDRESSES, ADDRESSES), max_size=50)


@given(
    RANGES,
    st.lists(st.integers(0, 1 << 30), max_size=50),
    st.integers(1, 1 << 40),
    st.none() | st.integers(0, 1 << 41),
    st.none() | st.tuples(ADDRESSES, ADDRESSES),
)
def test_any_findings_give_marks_within_memory(ranges, pages, size, hsa, image):
    findings = [
        Finding("pages", FindingKind.PAGES_DIFFER, "x", DifferingPages(7, tuple(ranges))),
        Finding("content", FindingKind.PLANTED_FAULTS, "x", PlantedFaults(1, tuple(pages))),
        *(Finding("pages", FindingKind.NOT_COMPARED, "x", MemoryRange(*each)) for each in ranges),
    ]
    found = memory_map(Memory(size, hsa, image), findings)
    assert len(found.marks) <= MOST
    for box in found.boxes:
        assert 0 <= box.mark.start < box.mark.end <= size
        assert box.mark.size <= box.mark.end - box.mark.start
        assert box.x >= -0.01
        assert box.x + box.width <= WIDTH + 0.01
        assert box.y + box.height <= found.height
