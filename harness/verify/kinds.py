"""The kinds of findings, and what each kind tells programs beside its message.

The value of a kind, and the names of the fields of its details, are part of the form of
``verdict.json``: they stay what they are. Addresses and sizes are in bytes; a range of memory does
not include its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Details:
    """What a finding tells programs: nothing but its kind, or the fields of one of these types."""


NO_DETAILS = Details()


@dataclass(frozen=True)
class Line(Details):
    """A line of a console log, from 1 on."""

    line: int


@dataclass(frozen=True)
class MissingMemory(Details):
    """The segment of memory at ``paddr`` of which the last ``missing`` bytes are not there."""

    paddr: int
    missing: int


@dataclass(frozen=True)
class MemoryRange(Details):
    """Memory from ``start`` up to but not including ``end``."""

    start: int
    end: int


@dataclass(frozen=True)
class MemoryRangeOfDump(Details):
    """A range of memory of the ``dump`` that is "first" or "second"."""

    start: int
    end: int
    dump: str


@dataclass(frozen=True)
class MemoryRangesOfOne(Details):
    """``ranges`` (start, end) of memory that ``only`` the "first" or the "second" dump has."""

    only: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class DifferingPages(Details):
    """How many ``pages`` differ, and the ``ranges`` (start, end) that they make."""

    pages: int
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PageOfDump(Details):
    """A page that differs from the crashed memory, from ``offset`` in it on.

    ``dump`` and ``memory`` are the bytes from there on, in hexadecimal; ``content_of`` are pages
    of the crashed memory that have the dump's content; ``why`` says more.
    """

    address: int
    offset: int
    dump: str
    memory: str
    content_of: tuple[int, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class PageOfDumps(Details):
    """A page that differs between two dumps; the other fields as for one dump."""

    address: int
    offset: int
    first: str
    second: str
    content_of: tuple[int, ...]
    why: tuple[str, ...]


@dataclass(frozen=True)
class Page(Details):
    """The page at an absolute ``address``."""

    address: int


@dataclass(frozen=True)
class Cpu(Details):
    """The CPU with the address ``cpu``."""

    cpu: int


@dataclass(frozen=True)
class CpuOfOne(Details):
    """A CPU that ``only`` the "first" or the "second" dump has."""

    cpu: int
    only: str


@dataclass(frozen=True)
class CpuPrefix(Details):
    """A CPU, by its position in the dump, and its prefix."""

    cpu: int
    prefix: int


@dataclass(frozen=True)
class CpuEntry(Details):
    """A position in the dump's list of CPUs."""

    entry: int


@dataclass(frozen=True)
class CpuOrder(Details):
    """At which positions of the dump's list its CPUs are."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class RegisterOfDump(Details):
    """A CPU's ``register`` at the ``crash`` and in the ``dump``, in hexadecimal, or None."""

    cpu: int
    register: str
    crash: str | None
    dump: str | None


@dataclass(frozen=True)
class RegisterOfDumps(Details):
    """A CPU's ``register`` in two dumps, in hexadecimal; None if a dump does not tell it."""

    cpu: int
    register: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class LineOfDumps(Details):
    """A line of VMCOREINFO, from 1 on, in two dumps; None if one has no such line."""

    line: int
    first: str | None
    second: str | None


@dataclass(frozen=True)
class PlantedFaults(Details):
    """How many ``faults`` planted content has, and the addresses of the ``pages`` among them."""

    faults: int
    pages: tuple[int, ...]


@dataclass(frozen=True)
class HsaSide(Details):
    """The ``side`` ("below" or "above") of the HSA's end at ``hsa_size``."""

    hsa_size: int
    side: str


@dataclass(frozen=True)
class Symbol(Details):
    """A symbol of the kernel."""

    symbol: str


@dataclass(frozen=True)
class LogSequence(Details):
    """The number of a record of the kernel's log."""

    sequence: int


class FindingKind(StrEnum):
    """What is wrong, in a word that stays the same; and the type of the details that tell more."""

    details: type[Details]

    def __new__(cls, value: str, details: type[Details] = Details) -> FindingKind:
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.details = details
        return kind

    # of any check
    UNSPECIFIED = "unspecified"  # a verdict of version 1 does not tell
    NOTHING_COMPARED = "nothing-compared"
    NO_DUMP = "no-dump"
    UNREADABLE = "unreadable"
    CONTRADICTION = "contradiction"  # the dump says something twice, and not the same
    MORE = "more"  # how many more there are of the findings before

    # how the dump system ended, and what it said
    NOT_FINISHED = "not-finished"
    HSA_NOT_READ = "hsa-not-read"
    HSA_NOT_RELEASED = "hsa-not-released"
    SDIAS_AFTER_RELEASE = "sdias-after-release"
    CONSOLE_ALARM = "console-alarm", Line
    NO_RESULT_LINE = "no-result-line"
    TOOL_FAILED = "tool-failed"

    # the file, and the disk that it was on
    TRUNCATED = "truncated", MissingMemory
    FILE_TRUNCATED = "file-truncated"
    UNFINISHED = "unfinished"
    WRONG_FORMAT = "wrong-format"
    CHECKSUM_WRONG = "checksum-wrong"
    SUPERBLOCK_MISSING = "superblock-missing"
    SUPERBLOCK_FIELD = "superblock-field"
    SUPERBLOCK_EXTENT = "superblock-extent"
    SUPERBLOCK_COVERED = "superblock-covered"
    SUPERBLOCK_CHECKSUM = "superblock-checksum"

    # the memory map
    SEGMENT_MALFORMED = "segment-malformed"
    SEGMENT_EMPTY = "segment-empty"
    MEMORY_GAP = "memory-gap", MemoryRange
    MEMORY_OVERLAP = "memory-overlap", MemoryRange
    MEMORY_BEYOND_END = "memory-beyond-end", MemoryRange
    IDENTITY_BASE = "identity-base"
    IMAGE_MISPLACED = "image-misplaced"
    SEGMENTS_REPEAT = "segments-repeat"
    MEMORY_IN_ONE_DUMP = "memory-in-one-dump", MemoryRangesOfOne

    # pages
    NOT_COMPARED = "not-compared", MemoryRange
    NOT_COMPARED_IN_DUMP = "not-compared-in-dump", MemoryRangeOfDump
    PAGES_DIFFER = "pages-differ", DifferingPages
    PAGE_DIFFERS = "page-differs", PageOfDump
    PAGE_DIFFERS_BETWEEN_DUMPS = "page-differs-between-dumps", PageOfDumps
    PAGE_DIFFERS_BETWEEN_SEGMENTS = "page-differs-between-segments", Page
    PAGES_ALL_ZERO = "pages-all-zero"
    PAGES_ALL_SAME = "pages-all-same"

    # CPUs and registers
    NO_CPU = "no-cpu"
    CPU_MISSING = "cpu-missing", Cpu
    CPU_SURPLUS = "cpu-surplus", CpuEntry
    CPU_IN_ONE_DUMP = "cpu-in-one-dump", CpuOfOne
    CPU_ORDER = "cpu-order", CpuOrder
    REGISTERS_MISFIT = "registers-misfit"
    REGISTER_DIFFERS = "register-differs", RegisterOfDump
    REGISTER_MISSING = "register-missing", RegisterOfDump
    REGISTER_DIFFERS_BETWEEN_DUMPS = "register-differs-between-dumps", RegisterOfDumps
    PREFIX_WRONG = "prefix-wrong", CpuPrefix
    LOWCORE_WITHOUT_CPU = "lowcore-without-cpu"
    PSW_INVALID = "psw-invalid", Cpu

    # VMCOREINFO
    VMCOREINFO_MISSING = "vmcoreinfo-missing"
    VMCOREINFO_LACKS_LINE = "vmcoreinfo-lacks-line"
    VMCOREINFO_NOT_IN_MEMORY = "vmcoreinfo-not-in-memory"
    VMCOREINFO_DIFFERS = "vmcoreinfo-differs"
    VMCOREINFO_LINE_DIFFERS_BETWEEN_DUMPS = "vmcoreinfo-line-differs-between-dumps", LineOfDumps

    # planted content
    PLANTED_FAULTS = "planted-faults", PlantedFaults
    PLANTED_PAGE_WRONG = "planted-page-wrong", Page
    PLANTED_MESSAGE_WRONG = "planted-message-wrong"
    PLANTED_LOST = "planted-lost"
    PLANTED_ASTRAY = "planted-astray"
    PLANTED_OF_OTHER_SEED = "planted-of-other-seed"
    HSA_END_UNKNOWN = "hsa-end-unknown"
    HSA_END_NOT_PLANTED = "hsa-end-not-planted", HsaSide

    # the crashed kernel's own structures
    KERNEL_UNREADABLE = "kernel-unreadable"
    KERNEL_CPUS = "kernel-cpus"
    KERNEL_LOG = "kernel-log"
    KERNEL_NAMES = "kernel-names"
    KERNEL_TASKS = "kernel-tasks"
    KERNEL_FREE_LISTS = "kernel-free-lists"
    KERNEL_SLABS = "kernel-slabs"
    SYMBOL_MISPLACED = "symbol-misplaced", Symbol
    LOG_DISORDER = "log-disorder", LogSequence

    # what the scenario expects
    REIPL_NOT_ASKED = "reipl-not-asked"
    REIPL_NOT_EXPECTED = "reipl-not-expected"
    REIPL_OF_ANOTHER = "reipl-of-another"
    REIPL_COUNTER = "reipl-counter"
    CONSOLE_UNMATCHED = "console-unmatched"
    TOO_SLOW = "too-slow"
    NOT_WRONG = "not-wrong"
    FINDING_UNMATCHED = "finding-unmatched"
    FINDING_UNEXPECTED = "finding-unexpected"

    # what other people's tools say
    OPINION_DIFFERS = "opinion-differs"
    OTHER_TOOL_FAILED = "other-tool-failed"
    CONVERSION_DIFFERS = "conversion-differs"
    CONVERSION_UNREADABLE = "conversion-unreadable"
