"""The interface of every dump, in any format: memory, CPUs, VMCOREINFO, facts of its headers."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

from harness.closing import Closing
from harness.dump.byte_source import ByteSource
from harness.dump.linux import vmcoreinfo_note
from harness.dump.refusal import Refusal
from harness.errors import EvidenceError
from harness.s390x.cpu import DumpedCpu


class Range(NamedTuple):
    """Absolute addresses from ``start`` up to but not including ``end``."""

    start: int
    end: int


@dataclass(frozen=True)
class Segment:
    """``size`` bytes of memory from absolute address ``paddr`` on, as the format lists them.

    ``content`` is shorter than ``size`` where the dump is truncated. ``vaddr`` is what an ELF
    dump says of the virtual address, None in formats that do not tell. The content of memory that
    was ``left_out`` of the file is zeros in place of what it was.
    """

    paddr: int
    size: int
    content: ByteSource
    vaddr: int | None = None
    left_out: bool = False

    @property
    def end(self) -> int:
        """The first absolute address behind it."""
        return self.paddr + self.size

    @property
    def present_end(self) -> int:
        """The first absolute address whose content is missing."""
        return self.paddr + min(self.size, self.content.size)

    def read(self, address: int, size: int) -> bytes:
        """Memory from an absolute address within the segment on, fewer bytes where it ends."""
        return self.content.upto(address - self.paddr, min(size, self.end - address))

    def data_ranges(self, start: int, end: int) -> Iterator[Range]:
        """Where, between two absolute addresses, content may be other than zero; ascending."""
        for at, size in self.content.data_extents(start - self.paddr, end - self.paddr):
            yield Range(self.paddr + at, self.paddr + at + size)


class Dump(Closing):
    """An open dump; a context manager.

    ``container`` says where in the file the dump was found, "" if the file is the dump, and
    ``container_facts`` what is said of the dump there, by upstream's field names; ``content``
    are the dump's own bytes, ``name`` is what errors call it.
    """

    format: str
    name: str
    content: ByteSource
    segments: Sequence[Segment]
    container: str = ""
    container_facts: Mapping[str, object] = MappingProxyType({})

    def close(self) -> None:
        self.content.close()

    @property
    @abstractmethod
    def cpus(self) -> tuple[DumpedCpu, ...]:
        """Registers of each CPU, in the dump's order.

        The clock comparator is as store status keeps it, shifted right by 8 bits.
        Raises EvidenceError naming CPU and field if one cannot be read.
        """

    @property
    def cpus_in_reach(self) -> tuple[DumpedCpu, ...]:
        """Those of ``cpus`` whose registers are not in memory that is ``withheld``."""
        return self.cpus

    @property
    def misfits(self) -> tuple[str, ...]:
        """What is wrong with the notes of registers that can be read nevertheless."""
        return ()

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What keeps other programs from the registers, although they can be read here."""
        return ()

    @property
    @abstractmethod
    def length(self) -> int:
        """The dump's length in bytes, from its headers; ``content`` may have more, or fewer."""

    @property
    def vmcoreinfo(self) -> bytes | None:
        """Descriptor of the VMCOREINFO note, here the one to which the absolute lowcore points."""
        return vmcoreinfo_in(self)

    @property
    def facts(self) -> Mapping[str, object]:
        """What else the format's headers say, by upstream's field names."""
        return {}

    @property
    def incomplete(self) -> str | None:
        """In what way the dump was not written to its end; None if it was."""
        return None

    @property
    def filtered(self) -> str | None:
        """Which pages that are not zero were left out on purpose; None if none were."""
        return None

    @property
    def left_out(self) -> Iterable[Range]:
        """Memory that is not in the file although the dump describes it; ascending and disjoint.

        The writer left it out on purpose. What it held is unknown.
        """
        lacking = merged((item.paddr, item.end) for item in self.segments if item.left_out)
        there = ((item.paddr, item.end) for item in self.segments if not item.left_out)
        return tuple(without(lacking, merged(there))) if lacking else ()

    @property
    def limited(self) -> Range | None:
        """The end of the machine's memory, if the dump was limited to what is below; else None."""
        return None

    @property
    def withheld(self) -> Range | None:
        """What ``limited`` says, unless headers contradict each other: then memory is just lost."""
        return None if self.contradictions else self.limited

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What the headers say twice and not alike; nothing that cannot be read is told here."""
        return ()

    @property
    def fallible(self) -> Sequence[Segment]:
        """Those of the segments of which headers say something that may be wrong."""
        return self.segments

    @property
    def ascending(self) -> Iterable[Segment]:
        """The segments by their address, of those that begin at the same the largest first."""
        return sorted(self.segments, key=lambda item: (item.paddr, -item.size))

    @property
    def described(self) -> int:
        """Bytes of all segments together, some of which may repeat others."""
        return sum(segment.size for segment in self.segments)

    @property
    def memory_map(self) -> Sequence[Range]:
        """The memory that the segments describe, ascending and disjoint."""
        return merged((item.paddr, item.end) for item in self.segments if item.size)

    @property
    def missing(self) -> int:
        """Bytes of memory that the dump describes but does not have."""
        return sum(segment.end - segment.present_end for segment in self.segments)

    def read(self, address: int, size: int) -> bytes:
        """Memory from an absolute address on; raises EvidenceError if it is not all there."""
        parts = []
        at, end = address, address + size
        while at < end:
            segment = self._segment_at(at)
            data = segment.read(at, end - at) if segment else b""
            if not data:
                raise EvidenceError(f"{self.name}: has no memory at {at:#x}")
            parts.append(data)
            at += len(data)
        return b"".join(parts)

    def data_ranges(self) -> Iterator[Range]:
        """Where memory may be other than zero, ascending and disjoint."""
        done = 0
        for segment in self.ascending:
            if segment.left_out:
                continue
            start = max(done, segment.paddr)
            if start < segment.present_end:
                yield from segment.data_ranges(start, segment.present_end)
                done = segment.present_end

    def _segment_at(self, address: int) -> Segment | None:
        """The first one, in the format's order, that has the byte at ``address``."""
        return self._index.first_at(address)

    @cached_property
    def _index(self) -> _Index:
        return _Index(self.segments)


class _Index:
    """Segments by address: which begin before it, and how far back one may reach it."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        present = [item.present_end for item in segments]
        self._order = sorted(range(len(segments)), key=lambda number: segments[number].paddr)
        self._starts = [segments[number].paddr for number in self._order]
        self._farthest = list(accumulate((present[number] for number in self._order), max))

    def first_at(self, address: int) -> Segment | None:
        found: int | None = None
        at = bisect_right(self._starts, address) - 1
        while at >= 0 and self._farthest[at] > address:
            number = self._order[at]
            if self._segments[number].present_end > address:
                found = number if found is None else min(found, number, key=self._rank)
            at -= 1
        return None if found is None else self._segments[found]

    def _rank(self, number: int) -> tuple[bool, int]:
        """Memory that is in the file comes before zeros in place of it."""
        return self._segments[number].left_out, number


def merged(ranges: Iterable[tuple[int, int]]) -> tuple[Range, ...]:
    """The memory of ``ranges``, ascending and disjoint."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1].end:
            found[-1] = Range(found[-1].start, max(found[-1].end, end))
        else:
            found.append(Range(start, end))
    return tuple(found)


def without(
    ranges: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]
) -> Iterator[Range]:
    """The parts of ``ranges`` that are not in ``others``; both ascending and disjoint."""
    rest = iter(others)
    other = next(rest, None)
    for start, end in ranges:
        at = start
        while at < end:
            while other is not None and other[1] <= at:
                other = next(rest, None)
            if other is None or other[0] >= end:
                yield Range(at, end)
                break
            if at < other[0]:
                yield Range(at, other[0])
            at = other[1]


def refuse_repeats(dump: Dump) -> None:
    """Raise EvidenceError if segments repeat more memory than there is: the kernel's image is less.

    A small file can describe the same memory 65,000 times.
    """
    once = sum(end - start for start, end in dump.memory_map)
    if dump.described > 2 * once:
        raise EvidenceError(
            f"{dump.name}: segments repeat {dump.described - once:#x} bytes of memory, of which "
            f"there are {once:#x}"
        )


def vmcoreinfo_in(memory: Dump) -> bytes | None:
    """Descriptor of the note to which the absolute lowcore points; None if there is none."""
    try:
        return vmcoreinfo_note.note_in(memory.read)
    except EvidenceError:
        return None
