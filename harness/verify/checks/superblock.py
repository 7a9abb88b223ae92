"""The dump superblock on a zfcpdump 3 partition, and its checksum."""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump.disk.zipl_superblock import FoundSuperblock, Superblock
from harness.dump.reader import Dump
from harness.s390x.zipl import DUMP_SB_CSUM_SIZE, DUMP_SB_MAGIC, DUMP_SB_SIZE, cksm
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECK, UNIT = "superblock", "fields"
VERSION = 1
FIELDS = len(Superblock.__dataclass_fields__)

Fault = tuple[FindingKind, str]


def check(evidence: Evidence) -> CheckResult:
    """Magic, version, extents within the partition, and a checksum that fits the dump."""
    found = evidence.superblock
    if evidence.layout.is_file_system:
        reason = f"layout {evidence.layout} has dump files, no dump superblock"
        return CheckResult.skipped(CHECK, UNIT, reason)
    if found is None:
        what = f"the disk leads to no dump superblock any more: {evidence.superblock_fault}"
        return CheckResult.failed(CHECK, UNIT, FindingKind.SUPERBLOCK_MISSING, what)
    return check_alone(found, evidence.dump)


def check_alone(found: FoundSuperblock, dump: Dump | None) -> CheckResult:
    """Check the superblock alone, and against the dump that it describes, if that can be read."""
    faults = [
        *_form(found.superblock),
        *_extents(found.superblock, dump),
        *_partition(found),
        *_place(found, dump),
        *_checksum(found.superblock, dump),
    ]
    findings = tuple(Finding(CHECK, kind, message) for kind, message in faults)
    return CheckResult(CHECK, FIELDS, UNIT, findings)


def _form(superblock: Superblock) -> Iterator[Fault]:
    if superblock.magic != DUMP_SB_MAGIC:
        yield (
            FindingKind.SUPERBLOCK_FIELD,
            f"magic is {superblock.magic:#x}, not {DUMP_SB_MAGIC:#x}",
        )
    if superblock.version != VERSION:
        yield FindingKind.SUPERBLOCK_FIELD, f"version is {superblock.version}, not {VERSION}"
    if superblock.csum_size != DUMP_SB_CSUM_SIZE:
        yield (
            FindingKind.SUPERBLOCK_FIELD,
            f"csum_size is {superblock.csum_size}, not {DUMP_SB_CSUM_SIZE}",
        )


def _extents(superblock: Superblock, dump: Dump | None) -> Iterator[Fault]:
    if superblock.part_start == 0 or superblock.part_size == 0:
        yield (
            FindingKind.SUPERBLOCK_EXTENT,
            f"partition at {superblock.part_start:#x} with {superblock.part_size:#x} bytes is none",
        )
    for what, offset, size in (
        ("dump", superblock.dump_offset, superblock.dump_size),
        ("checksummed area", superblock.csum_offset, superblock.csum_size),
    ):
        if size == 0 or offset + size > superblock.part_size:
            yield (
                FindingKind.SUPERBLOCK_EXTENT,
                f"the {what} at {offset:#x} with {size:#x} bytes does not lie in the partition "
                f"of {superblock.part_size:#x} bytes",
            )
    if dump is not None and dump.content.size > superblock.dump_size:
        yield (
            FindingKind.SUPERBLOCK_EXTENT,
            f"the dump has {dump.content.size} bytes, the superblock allows {superblock.dump_size}",
        )


def _partition(found: FoundSuperblock) -> Iterator[Fault]:
    """s390-tools' zfcpdump looks for the partition, and ends if there is none (find_part_num)."""
    if not found.in_table:
        superblock = found.superblock
        yield (
            FindingKind.SUPERBLOCK_EXTENT,
            f"the disk's partition table has no partition at {superblock.part_start:#x} with "
            f"{superblock.part_size:#x} bytes",
        )


def _place(found: FoundSuperblock, dump: Dump | None) -> Iterator[Fault]:
    """Zipl puts the dump system, and then the superblock, behind the room for the dump."""
    start = found.superblock.dump_start
    for what, size in (
        ("the dump covers", dump.content.size if dump else 0),
        ("the room for the dump covers", found.superblock.dump_size),
    ):
        if start < found.offset + DUMP_SB_SIZE and found.offset < start + size:
            yield (
                FindingKind.SUPERBLOCK_COVERED,
                f"{what} the superblock itself, at {found.offset:#x} of the disk",
            )


def _checksum(superblock: Superblock, dump: Dump | None) -> Iterator[Fault]:
    if dump is None:
        yield FindingKind.NO_DUMP, "checksum not compared: there is no readable dump"
        return
    start = superblock.csum_offset - superblock.dump_offset
    if not 0 <= start <= dump.content.size - DUMP_SB_CSUM_SIZE:
        yield (
            FindingKind.SUPERBLOCK_EXTENT,
            f"checksum not compared: {DUMP_SB_CSUM_SIZE} bytes at partition offset "
            f"{superblock.csum_offset:#x} are not all in the dump",
        )
        return
    area = dump.content.upto(start, DUMP_SB_CSUM_SIZE)
    if not superblock.checksum_fits(area):
        yield (
            FindingKind.SUPERBLOCK_CHECKSUM,
            f"checksum is {superblock.csum:#x}, that of the dump's beginning {cksm(area):#x}",
        )
