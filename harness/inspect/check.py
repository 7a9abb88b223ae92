"""Check a dump alone: find faults without knowing what the dump should contain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from harness.dump.disk import ngdump
from harness.dump.disk.partition_table import lacks_partition_at
from harness.dump.disk.zipl_superblock import (
    FoundSuperblock,
    is_dump_disk,
    superblock_of_disk,
    superblock_of_partition,
)
from harness.dump.formats.table import format_named
from harness.dump.given_disk.image import open_image
from harness.dump.linux.os_info import crashkernel
from harness.dump.reader import Dump, Range, Segment
from harness.errors import EvidenceError, LimitError
from harness.inspect import check_linux, compare, page_statistics
from harness.progress import Progress
from harness.s390x.lowcore import PAGE_SIZE
from harness.verify import differing
from harness.verify.checks import dump_file, memory_map, registers, superblock
from harness.verify.checks.crashed_kernel import statements
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind, MemoryRange, MissingMemory, Page

HEADERS, MAP, COMPLETE, SHA256 = "headers", "memory-map", "complete", "sha256"
REPEATS = "repeats"
_END_OF_ADDRESSES = 1 << 64
_SHOWN = 16


class Check(NamedTuple):
    """``run`` makes the check ``name``, and counts in ``unit``."""

    name: str
    unit: str
    run: Callable[[Dump], CheckResult]


def superblock_of(path: Path) -> FoundSuperblock | None:
    """The dump superblock, if ``path`` is a disk image that zipl prepared, or its partition."""
    try:
        with open_image(path) as disk:
            if is_dump_disk(disk):
                on_disk = superblock_of_disk(disk)
                place = on_disk.superblock.part_start, on_disk.superblock.part_size
                return replace(on_disk, in_table=not lacks_partition_at(disk, *place))
            found = superblock_of_partition(disk)
    except EvidenceError:
        return None
    return found and replace(found, offset=found.superblock.part_start + found.offset)


def check(dump: Dump, found: FoundSuperblock | None, progress: Progress) -> tuple[CheckResult, ...]:
    """Run every check; ``found`` is the superblock of the dump's disk, if it has one.

    What cannot be read is a finding. Raises LimitError for a dump that exceeds a limit of content
    or time.
    """
    checks = (
        Check(HEADERS, "segments and CPUs", headers),
        Check(MAP, "segments", map_alone),
        Check(COMPLETE, "segments", complete),
        Check(REPEATS, differing.UNIT, repeats),
        Check(superblock.CHECK, superblock.UNIT, lambda dump: superblock_alone(dump, found)),
        Check(SHA256, "bytes", lambda dump: sha256_alone(dump, progress)),
        Check(check_linux.PREFIXES, "CPUs", check_linux.prefixes),
        Check(check_linux.PSWS, "PSWs", check_linux.psws),
        Check(check_linux.VMCOREINFO, "lines", check_linux.vmcoreinfo_alone),
        Check(check_linux.TABLES, "symbols", check_linux.page_tables),
        Check(statements.CHECK, statements.UNIT, check_linux.statements_alone),
        Check(check_linux.LOG, "records", check_linux.kernel_log),
        Check(
            page_statistics.CHECK,
            page_statistics.UNIT,
            lambda dump: page_statistics.check(dump, progress),
        ),
    )
    return tuple(_attempt(item, dump) for item in checks)


def _attempt(item: Check, dump: Dump) -> CheckResult:
    try:
        return item.run(dump).explained()
    except LimitError:
        raise
    except EvidenceError as error:
        if dump.withheld is not None:  # the map tells the cause, once
            why = f"needs memory that a limited dump does not have: {error.without(dump.name)}"
            return CheckResult.skipped(item.name, item.unit, why)
        return CheckResult.failed(item.name, item.unit, FindingKind.UNREADABLE, error.message)


def headers(dump: Dump) -> CheckResult:
    """Segments must be whole pages within 64 bits; there must be CPUs, with their registers.

    Values that headers have twice must be equal. Other programs must find the registers, too.
    """
    cpus = dump.cpus
    refusals = dump.refusals
    no_cpu = () if cpus else ("there is no CPU, so nothing tells what was running",)
    findings = chain(
        (finding for segment in dump.fallible for finding in _segment(segment)),
        _findings(HEADERS, FindingKind.CONTRADICTION, dump.contradictions),
        _findings(HEADERS, FindingKind.NO_CPU, no_cpu),
        _findings(HEADERS, FindingKind.REGISTERS_MISFIT, dump.misfits),
        (registers.refused(HEADERS, refusal) for refusal in refusals if not refusal.usual),
    )
    notes = tuple(f"{each}, as in other dumps of QEMU" for each in refusals if each.usual)
    return _result(HEADERS, len(dump.segments) + len(cpus), "segments and CPUs", findings, notes)


def _segment(segment: Segment) -> Iterator[Finding]:
    where = f"the segment of {segment.size:#x} bytes at {segment.paddr:#x}"
    if segment.paddr % PAGE_SIZE or segment.size % PAGE_SIZE:
        message = f"{where} is not made of whole pages"
        yield Finding(HEADERS, FindingKind.SEGMENT_MALFORMED, message)
    if segment.end > _END_OF_ADDRESSES:
        message = f"{where} passes the end of 64-bit addresses"
        yield Finding(HEADERS, FindingKind.SEGMENT_MALFORMED, message)
    if not segment.size:
        yield Finding(HEADERS, FindingKind.SEGMENT_EMPTY, f"{where} is empty")


def map_alone(dump: Dump) -> CheckResult:
    """Memory must be there from 0 on, without gap or overlap; its size is not known.

    If a format leaves out pages on purpose, gaps are counted, but are not wrong. kdump, unlike
    zfcpdump, may also leave out the memory in which it runs.
    """
    count = len(dump.segments)
    if format_named(dump.format).filtered:  # its segments cannot overlap
        gaps = sum(start > 0 for start, _ in dump.memory_map)
        notes = (f"{gaps} gaps, where pages were left out",)
        return _result(MAP, count, "segments", (), notes)
    kept = crashkernel(dump)
    gap = next((each for each in _map_faults(dump) if kept and _is_gap(each, kept)), None)
    if kept is None or gap is None:
        return _result(MAP, count, "segments", _map_faults(dump))
    findings = (each for each in _map_faults(dump) if not _is_gap(each, kept))
    notes = (f"{gap.message}: memory that was kept for kdump",)
    return _result(MAP, count, "segments", findings, notes)


def _is_gap(finding: Finding, kept: Range) -> bool:
    """Whether it is that a dump lacks just the memory that was ``kept``."""
    return finding.kind is FindingKind.MEMORY_GAP and finding.details == MemoryRange(*kept)


def _map_faults(dump: Dump) -> Iterator[Finding]:
    if format_named(dump.format).has_virtual:
        return chain(_limit(dump), memory_map.faults(dump.segments, None))
    return chain(_limit(dump), memory_map.coverage(dump.ascending, None, "segment"))


def _limit(dump: Dump) -> Iterator[Finding]:
    """That a dump was limited is one finding: what else is not in it follows from that."""
    lacking = dump.limited
    if lacking is not None:
        message = (
            f"the dump was limited: it has {lacking.start:#x} of the machine's {lacking.end:#x} "
            f"bytes of memory, {lacking.start:#x}-{lacking.end - 1:#x} is not in it"
        )
        yield Finding(MAP, FindingKind.MEMORY_GAP, message, MemoryRange(*lacking))


def complete(dump: Dump) -> CheckResult:
    """The dump must be written to its end, and not be truncated."""
    unfinished = () if dump.incomplete is None else (dump.incomplete,)
    findings = [
        *_findings(COMPLETE, FindingKind.UNFINISHED, unfinished),
        *_truncated([each for each in dump.fallible if each.present_end < each.end]),
    ]
    if dump.content.size < dump.length and not findings:
        message = f"truncated: {dump.content.size} of {dump.length} bytes are there"
        findings.append(Finding(COMPLETE, FindingKind.FILE_TRUNCATED, message))
    notes = []
    if left_out := sum(end - start for start, end in dump.left_out):
        notes.append(f"{left_out // PAGE_SIZE} pages of memory were left out of the dump")
    if dump.content.size > dump.length:
        notes.append(f"{dump.content.size - dump.length} bytes follow that are not of the dump")
    return _result(COMPLETE, len(dump.segments), "segments", findings, tuple(notes))


def _truncated(lacking: Sequence[Segment]) -> Iterator[Finding]:
    """One finding: where a file with many segments was cut, all of them behind that lack."""
    if not lacking:
        return
    segment = lacking[0]
    if len(lacking) > 1:
        missing = sum(each.end - each.present_end for each in lacking)
        message = (
            f"truncated: {missing} bytes of memory in {len(lacking)} segments are not in the file, "
            f"the first at {segment.present_end:#x}"
        )
        yield Finding(COMPLETE, FindingKind.FILE_TRUNCATED, message)
        return
    yield Finding(
        COMPLETE,
        FindingKind.TRUNCATED,
        f"truncated: of memory {segment.paddr:#x}-{segment.end - 1:#x} only what is below "
        f"{segment.present_end:#x} is there",
        MissingMemory(segment.paddr, segment.end - segment.present_end),
    )


def repeats(dump: Dump) -> CheckResult:
    """The kernel's image must be the same in all segments that have it."""
    layers = compare.Layers.of(dump)
    if not layers.again:
        return CheckResult.skipped(REPEATS, differing.UNIT, "no segment repeats another")
    once, again = (sum(item.end - item.start for item in part) for part in layers)
    if again > once:
        what = f"segments repeat {again:#x} bytes of memory, of which there are {once:#x}"
        return CheckResult.failed(REPEATS, differing.UNIT, FindingKind.SEGMENTS_REPEAT, what)
    findings = (
        Finding(
            REPEATS,
            FindingKind.PAGE_DIFFERS_BETWEEN_SEGMENTS,
            f"page {difference.address:#x} is not the same in both segments that have it, from "
            f"{difference.address + difference.offset:#x} on",
            Page(difference.address),
        )
        for item in compare.overlaps(layers.again, layers.once)
        if not compare.is_left_out(item.one) and not compare.is_left_out(item.other)
        for difference in differing.differences(item.one, item.other, item.start, item.end)
    )
    shared = (item.size for item in compare.overlaps(layers.again, layers.once))
    compared = sum(-(-size // PAGE_SIZE) for size in shared)
    return _result(REPEATS, compared, differing.UNIT, findings)


def superblock_alone(dump: Dump, found: FoundSuperblock | None) -> CheckResult:
    """Check the superblock of the dump's disk, and its checksum of the dump."""
    if found is None:
        why = "the file is neither a dump disk nor its partition"
        return CheckResult.skipped(superblock.CHECK, superblock.UNIT, why)
    return superblock.check_alone(found, dump)


def sha256_alone(dump: Dump, progress: Progress) -> CheckResult:
    """Check the checksum that ngdump keeps beside the dump."""
    fits = ngdump.checksum_fits(dump, progress)
    if fits is None:
        return CheckResult.skipped(SHA256, "bytes", "no ngdump.meta was read that states it")
    messages = [] if fits else [dump_file.OTHER_CHECKSUM]
    findings = _findings(SHA256, FindingKind.CHECKSUM_WRONG, messages)
    return _result(SHA256, dump.content.size, "bytes", findings)


def _findings(name: str, kind: FindingKind, messages: Iterable[str]) -> Iterator[Finding]:
    return (Finding(name, kind, message) for message in messages)


def _result(
    name: str, compared: int, unit: str, findings: Iterable[Finding], notes: tuple[str, ...] = ()
) -> CheckResult:
    """The first findings, and the number of further ones (perhaps millions)."""
    rest = iter(findings)
    shown = list(islice(rest, _SHOWN))
    if more := sum(1 for _ in rest):
        shown.append(Finding(name, FindingKind.MORE, f"and {more} more of the kind"))
    return CheckResult(name, compared, unit, tuple(shown), notes=notes)
