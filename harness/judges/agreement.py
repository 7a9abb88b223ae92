"""Check that another reader finds the same in a dump as our reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.dump.formats.table import format_named
from harness.dump.reader import Dump, Range
from harness.errors import EvidenceError
from harness.inspect import compare
from harness.judges.guest import Said
from harness.judges.zgetdump import Opinion
from harness.progress import Progress
from harness.verify.checks import registers
from harness.verify.findings import AllowedDifference, CheckResult, Finding
from harness.verify.kinds import FindingKind, MemoryRangesOfOne, RegisterOfDumps

CHECK, UNIT = "zgetdump", "facts, pages, registers and lines"
ELF_ALONE = AllowedDifference(
    "conversion to s390",
    "skipped: zgetdump 2.16 takes the kernel's image, which /proc/vmcore has a second time since "
    "Linux 6.10, for memory at its virtual address, so it converts such a dump to ELF alone",
)
TOD_LEFT_OUT = AllowedDifference(
    "TOD programmable register, converted to s390",
    "zgetdump does not write it to the prefix page (s390-tools zdump/dfo_s390.c, cpu2lc_64), "
    "where memory's own content remains",
)
NO_GAPS = AllowedDifference(
    "gaps, converted to s390", "that format has none: zgetdump writes zeros in their place"
)
_TOD_PROGRAMMABLE = 0x1324  # its place in the prefix page (Principles of Operation, chapter 4)
_OSRELEASE = b"OSRELEASE="


def check(dump: Dump, opinion: Opinion, progress: Progress) -> CheckResult:
    """Compare what zgetdump printed and wrote with what our reader finds.

    It prints format, kernel release and number of CPUs. It writes all memory, every
    register, VMCOREINFO. Raises EvidenceError if ``dump`` itself cannot be read.
    """
    findings, compared = [*_said_faults("zgetdump -i", opinion.info)], 0
    allowed = dict.fromkeys([ELF_ALONE] if opinion.elf_alone else [])
    for what, ours, theirs in _facts(dump, opinion):
        compared += 1
        if ours != theirs:
            message = f"{what}: zgetdump says {theirs!r}, we {ours!r}"
            findings.append(Finding(CHECK, FindingKind.OPINION_DIFFERS, message))
    for form, said in opinion.converted.items():
        findings += _said_faults(f"zgetdump -f {form}", said)
        try:
            with opinion.dump(form) as converted:
                results = compare.compare(dump, converted, progress)
        except EvidenceError as error:
            message = f"converted to {form} by zgetdump: {error.message}"
            findings.append(Finding(CHECK, FindingKind.CONVERSION_UNREADABLE, message))
            continue
        compared += sum(result.compared for result in results)
        for finding in (finding for result in results for finding in result.findings):
            if _is_left_out(finding, dump, form):
                allowed[TOD_LEFT_OUT] = None
            elif _is_gap(finding, dump, form):
                allowed[NO_GAPS] = None
            elif not _is_image(finding, dump, opinion):
                message = f"ours is the first dump, zgetdump's {form} the second: {finding.message}"
                findings.append(Finding(CHECK, FindingKind.CONVERSION_DIFFERS, message))
        allowed |= dict.fromkeys(item for result in results for item in result.allowed)
    notes = (f"zgetdump {opinion.version}",)
    return CheckResult(CHECK, compared, UNIT, tuple(findings), tuple(allowed), notes=notes)


def _is_image(finding: Finding, dump: Dump, opinion: Opinion) -> bool:
    """Memory that only zgetdump has is the kernel's image at its virtual address."""
    images = [
        Range(segment.vaddr, segment.vaddr + segment.size)
        for segment in dump.segments
        if segment.vaddr not in (None, segment.paddr)
    ]
    return opinion.elf_alone and _is_within(finding, images)


def _is_gap(finding: Finding, dump: Dump, form: str) -> bool:
    """Memory that only zgetdump has is between that of the dump."""
    return not format_named(form).has_gaps and _is_within(
        finding, [Range(0, dump.memory_map[-1].end)]
    )


def _is_within(finding: Finding, ranges: Sequence[Range]) -> bool:
    """Whether it is about memory that only zgetdump has, all of it in one of ``ranges``."""
    details = finding.details
    if not isinstance(details, MemoryRangesOfOne) or details.only != compare.SECOND:
        return False
    return all(
        any(each.start <= start and end <= each.end for each in ranges)
        for start, end in details.ranges
    )


def _is_left_out(finding: Finding, dump: Dump, form: str) -> bool:
    """A register that a stand-alone dump has in memory, where zgetdump did not write it."""
    details, kept = finding.details, format_named(form).registers_in_memory
    if not kept or not isinstance(details, RegisterOfDumps) or details.second is None:
        return False
    if details.register != registers.TOD_PROGRAMMABLE:
        return False
    prefix = dump.cpus[details.cpu].prefix
    if prefix is None:
        return False
    memory = dump.read(prefix + _TOD_PROGRAMMABLE, 4)
    return int(details.second, 16) == int.from_bytes(memory, "big")


def _said_faults(what: str, said: Said) -> Iterator[Finding]:
    if said.status:
        last = said.text.splitlines()[-1:] or ["nothing"]
        message = f"{what} ended with {said.status}: {last[0]}"
        yield Finding(CHECK, FindingKind.OTHER_TOOL_FAILED, message)


def _facts(dump: Dump, opinion: Opinion) -> Iterator[tuple[str, str, str | None]]:
    fields = opinion.fields
    yield "dump format", dump.format, fields.get("Dump format")
    yield "CPUs", str(len(dump.cpus)), fields.get("CPU count (online)")
    theirs = fields.get("UTS kernel release")
    if theirs is None and not opinion.elf_alone:
        return  # zgetdump 2.16 looks for it at a virtual address, where such a dump has nothing
    for line in (dump.vmcoreinfo or b"").splitlines():
        if line.startswith(_OSRELEASE):
            release = line.removeprefix(_OSRELEASE).decode(errors="replace")
            yield "kernel release", release, theirs
