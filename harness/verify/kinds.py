"""The kinds of findings, and what each kind tells programs beside its message.

The value of a kind, and the names of the fields of its details, are part of the form of
``verdict.json``: they stay what they are. New ones may be added; docs/evidence.md says when that
makes a new version. Addresses and sizes are in bytes; a range of memory does not include its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


@dataclass(frozen=True)
class Details:
    """What a finding tells programs: nothing but its kind, or the fields of one of these types."""

    # harness.report.field_docs brings the line below each field into the schema
    __pydantic_config__: ClassVar = {"strict": True}


NO_DETAILS = Details()


@dataclass(frozen=True)
class Line(Details):
    """A line of a console log."""

    line: int
    """Its number, from 1 on."""


@dataclass(frozen=True)
class MissingMemory(Details):
    """A segment of memory whose end is not there."""

    paddr: int
    """The address of the segment."""
    missing: int
    """How many bytes at its end are not there."""


@dataclass(frozen=True)
class MemoryRange(Details):
    """A range of memory."""

    start: int
    """The address of its first byte."""
    end: int
    """The address behind its last byte."""


@dataclass(frozen=True)
class MemoryRangeOfDump(Details):
    """A range of memory of one of two dumps."""

    start: int
    """The address of its first byte."""
    end: int
    """The address behind its last byte."""
    dump: str
    """The dump: "first" or "second"."""


@dataclass(frozen=True)
class MemoryRangesOfOne(Details):
    """Memory that only one of two dumps has."""

    only: str
    """The dump that has it: "first" or "second"."""
    ranges: tuple[tuple[int, int], ...]
    """The ranges: start, and end (not included)."""


@dataclass(frozen=True)
class DifferingPages(Details):
    """All pages that differ."""

    pages: int
    """How many they are."""
    ranges: tuple[tuple[int, int], ...]
    """The first ranges that they make: start, and end (not included)."""


@dataclass(frozen=True)
class PageOfDump(Details):
    """A page that differs from the crashed memory."""

    address: int
    """The address of the page."""
    offset: int
    """Where in the page the first difference is."""
    dump: str
    """The dump's bytes from there on, in hexadecimal."""
    memory: str
    """The crashed memory's bytes from there on, in hexadecimal."""
    content_of: tuple[int, ...]
    """The addresses of pages of the crashed memory that have the dump's content."""
    why: tuple[str, ...]
    """What else is known about the difference, for people."""


@dataclass(frozen=True)
class PageOfDumps(Details):
    """A page that differs between two dumps."""

    address: int
    """The address of the page."""
    offset: int
    """Where in the page the first difference is."""
    first: str
    """The first dump's bytes from there on, in hexadecimal."""
    second: str
    """The second dump's bytes from there on, in hexadecimal."""
    content_of: tuple[int, ...]
    """The addresses of pages of the second dump that have the first dump's content."""
    why: tuple[str, ...]
    """What else is known about the difference, for people."""


@dataclass(frozen=True)
class Page(Details):
    """A page."""

    address: int
    """Its absolute address."""


@dataclass(frozen=True)
class Cpu(Details):
    """A CPU."""

    cpu: int
    """Its address; its position in the dump, if a dump is checked alone."""


@dataclass(frozen=True)
class Readers(Details):
    """Other programs that do not get registers from a dump."""

    readers: tuple[str, ...]
    """Their names: "crash", "drgn", "elfutils", "libkdumpfile", "zgetdump"."""
    cpus: tuple[int, ...]
    """The positions in the dump of the CPUs whose registers they do not get; none if it is all."""


@dataclass(frozen=True)
class CpuOfOne(Details):
    """A CPU that only one of two dumps has."""

    cpu: int
    """Its position in that dump."""
    only: str
    """The dump that has it: "first" or "second"."""


@dataclass(frozen=True)
class CpuPrefix(Details):
    """A CPU and its prefix."""

    cpu: int
    """The position of the CPU in the dump."""
    prefix: int
    """Its prefix."""


@dataclass(frozen=True)
class CpuEntry(Details):
    """An entry of the dump's list of CPUs."""

    entry: int
    """Its position in the list."""


@dataclass(frozen=True)
class CpuOrder(Details):
    """The order of the dump's CPUs."""

    order: tuple[int, ...]
    """The positions in the dump of the CPUs that it should have in ascending order."""


@dataclass(frozen=True)
class RegisterOfDump(Details):
    """A register that differs from the one at the crash."""

    cpu: int
    """The address of the CPU."""
    register: str
    """The name of the register."""
    crash: str | None
    """Its content at the crash, in hexadecimal; null if there is none."""
    dump: str | None
    """Its content in the dump, in hexadecimal; null if the dump does not have it."""


@dataclass(frozen=True)
class RegisterOfDumps(Details):
    """A register that differs between two dumps."""

    cpu: int
    """The position of the CPU in the first dump."""
    register: str
    """The name of the register."""
    first: str | None
    """Its content in the first dump, in hexadecimal; null if that does not have it."""
    second: str | None
    """Its content in the second dump, in hexadecimal; null if that does not have it."""


@dataclass(frozen=True)
class LineOfDumps(Details):
    """A line of VMCOREINFO that differs between two dumps."""

    line: int
    """Its number, from 1 on."""
    first: str | None
    """The line in the first dump; null if that has no such line."""
    second: str | None
    """The line in the second dump; null if that has no such line."""


@dataclass(frozen=True)
class PlantedFaults(Details):
    """All faults of the planted content."""

    faults: int
    """How many they are."""
    pages: tuple[int, ...]
    """The addresses of the faulty pages."""


@dataclass(frozen=True)
class HsaSide(Details):
    """A side of the HSA's end on which nothing is planted."""

    hsa_size: int
    """The size of the HSA."""
    side: str
    """The side of its end: "below" or "above"."""


@dataclass(frozen=True)
class Symbol(Details):
    """A symbol of the kernel."""

    symbol: str
    """Its name."""


@dataclass(frozen=True)
class Telling(Details):
    """One thing of which several say something."""

    of: str
    """What it is about."""
    told: tuple[tuple[str, int | None], ...]
    """Who says something, and the number; null if it should be there and is not."""


@dataclass(frozen=True)
class LogSequence(Details):
    """A record of the kernel's log."""

    sequence: int
    """Its number."""


class FindingKind(StrEnum):
    """What is wrong, in a word that stays the same; and the type of the details that tell more."""

    details: type[Details]

    def __new__(cls, value: str, details: type[Details] = Details) -> FindingKind:
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.details = details
        return kind

    # of any check
    UNSPECIFIED = "unspecified"  # of version 1, or of a kind that only a later harness knows
    NOTHING_COMPARED = "nothing-compared"
    NO_DUMP = "no-dump"
    UNREADABLE = "unreadable"
    CONTRADICTION = "contradiction"  # the dump says something twice, and not the same
    MORE = "more"  # how many more there are of the findings before

    # how the dump system ended, and what it said
    NOT_FINISHED = "not-finished"
    HSA_NOT_READ = "hsa-not-read"
    HSA_NOT_RELEASED = "hsa-not-released"
    HSA_RELEASED_EARLY = "hsa-released-early"
    SDIAS_AFTER_RELEASE = "sdias-after-release"
    SDIAS_OUTSIDE_HSA = "sdias-outside-hsa"
    SDIAS_NOT_REPEATED = "sdias-not-repeated"
    OTHER_DISK_CHANGED = "other-disk-changed"  # one beside the dump disk
    MEMORY_BEYOND_HSA = "memory-beyond-hsa"  # the dump system has more than the HSA has saved
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

    # files that were on the disk before
    FILE_GONE = "file-gone"
    FILE_CHANGED = "file-changed"
    FILE_NOT_DELETED = "file-not-deleted"

    # the memory map
    SEGMENT_MALFORMED = "segment-malformed"
    SEGMENT_EMPTY = "segment-empty"
    MEMORY_GAP = "memory-gap", MemoryRange
    MEMORY_OVERLAP = "memory-overlap", MemoryRange
    MEMORY_BEYOND_END = "memory-beyond-end", MemoryRange
    LIMIT_UNTOLD = "limit-untold", MemoryRange  # the dump does not say that it lacks it
    LIMIT_UNASKED = "limit-unasked", MemoryRange  # it says so, and the scenario does not ask for it
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
    REGISTERS_REFUSED = "registers-refused", Readers
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
    KERNEL_STACKS = "kernel-stacks"
    STATEMENTS_DIFFER = "statements-differ", Telling
    SYMBOL_MISPLACED = "symbol-misplaced", Symbol
    LOG_DISORDER = "log-disorder", LogSequence

    # what the crashed system said of itself
    SYSTEM_TASKS = "system-tasks"
    SYSTEM_MODULES = "system-modules"
    SYSTEM_MOUNTS = "system-mounts"
    SYSTEM_SOCKETS = "system-sockets"
    SYSTEM_LOG = "system-log"
    SYSTEM_FILES = "system-files"

    # what the scenario expects
    REIPL_NOT_ASKED = "reipl-not-asked"
    REIPL_NOT_EXPECTED = "reipl-not-expected"
    REIPL_OF_ANOTHER = "reipl-of-another"
    REIPL_COUNTER = "reipl-counter"
    REIPL_CONDITION = "reipl-condition"
    CONSOLE_UNMATCHED = "console-unmatched"
    TOO_SLOW = "too-slow"
    NOT_EARLY = "not-early"
    NOT_WRONG = "not-wrong"
    FAULT_MISSED = "fault-missed"  # the dump is wrong, but not for the fault on purpose
    SAID_COMPLETE = "said-complete"  # the tool, of a dump that is wrong after a fault
    LOOKS_WHOLE = "looks-whole"  # a dump that is wrong after a fault
    FINDING_UNMATCHED = "finding-unmatched"
    FINDING_UNEXPECTED = "finding-unexpected"

    # what other people's tools say
    OPINION_DIFFERS = "opinion-differs"
    OTHER_TOOL_FAILED = "other-tool-failed"
    CONVERSION_DIFFERS = "conversion-differs"
    CONVERSION_UNREADABLE = "conversion-unreadable"
