"""Facts that every dump of a crashed Linux must have."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from harness.dump.linux.crashed_kernel import Kernel, lowcores, uts_names
from harness.dump.linux.early import early, lost_note
from harness.dump.linux.kernel_log import Record, panic_in, read_log
from harness.dump.linux.vmcoreinfo_note import note_in
from harness.dump.reader import Dump, vmcoreinfo_in
from harness.errors import EvidenceError
from harness.s390x.lowcore import NEW_PSWS, PREFIX_AREA_SIZE
from harness.verify.checks.crashed_kernel import statements, vmcoreinfo
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import Cpu, CpuPrefix, FindingKind, LogSequence, Symbol

PREFIXES, PSWS, VMCOREINFO = "prefixes", "psws", vmcoreinfo.CHECK
TABLES, LOG = "page-tables", "kernel-log"
IN_IMAGE = ("swapper_pg_dir", "_stext", "init_uts_ns", "prb", "node_online_map", "lowcore_ptr")
_UTS_NAME = "OFFSET(uts_namespace.name)"  # kernels before 5.11 do not have it
_NO_VMCOREINFO = "the dump has no VMCOREINFO"
_LIMITED = "needs memory that a limited dump does not have"

# Principles of Operation, chapter 4 "Program-Status Word": bits 31 and 32 are the addressing
# mode; 0, 2-4, 12, 25-30 and 33-63 have to be zero
_MODE_64 = _MODE_MASK = 1 << 32 | 1 << 31
_NO_MODE = 1 << 32
_ZERO = 0xB808_007E_7FFF_FFFF


def prefixes(dump: Dump) -> CheckResult:
    """Each CPU's prefix must be its own, aligned, in memory, and lead to a lowcore of Linux.

    Each lowcore of the kernel must belong to a CPU: Linux frees the lowcore of a CPU that it takes
    offline (arch/s390/kernel/smp.c, pcpu_free_lowcore), and makes one before it starts a CPU.
    """
    cpus = dump.cpus
    if not cpus:
        return CheckResult.skipped(PREFIXES, "CPUs", "the dump has no CPU")
    all_prefixes = [cpu.prefix for cpu in cpus]
    if not any(all_prefixes) and early(dump) is not None:
        why = "early: the kernel had not given a lowcore to any CPU yet"
        return CheckResult.skipped(PREFIXES, "CPUs", why)
    if set(all_prefixes) == {None}:
        return CheckResult.skipped(PREFIXES, "CPUs", "the dump has no prefix of any CPU")
    everywhere = [(at, prefix) for at, prefix in enumerate(all_prefixes) if prefix]
    started = [(at, prefix) for at, prefix in everywhere if not _is_withheld(dump, prefix)]
    if everywhere and not started:
        return CheckResult.skipped(PREFIXES, "CPUs", _LIMITED)
    known = _kernels_lowcores(dump)
    findings = [
        Finding(
            PREFIXES,
            FindingKind.PREFIX_WRONG,
            f"CPU {at}: {message}",
            CpuPrefix(at, prefix),
        )
        for at, prefix in started
        for message in _prefix(dump, prefix, all_prefixes[:at], known)
    ]
    idle = [at for at, prefix in enumerate(all_prefixes) if prefix == 0]
    unknown = [at for at, prefix in enumerate(all_prefixes) if prefix is None]
    lone = [place for place in known or () if place not in all_prefixes]
    findings += [
        Finding(
            PREFIXES,
            FindingKind.LOWCORE_WITHOUT_CPU,
            f"no CPU has the kernel's lowcore at {place:#x} (lowcore_ptr) as prefix",
        )
        for place in (lone if len(lone) > len(idle) + len(unknown) else ())
    ]
    notes = [f"CPU {at} has prefix 0: it was never started" for at in idle]
    notes += [f"CPU {at}: the dump does not have its prefix" for at in unknown]
    notes += [f"CPU {at}: {_LIMITED}" for at, prefix in everywhere if _is_withheld(dump, prefix)]
    return CheckResult(PREFIXES, len(started), "CPUs", tuple(findings), notes=tuple(notes))


def _is_withheld(dump: Dump, prefix: int) -> bool:
    """Whether a lowcore is in memory that a limited dump does not have."""
    return dump.withheld is not None and prefix + PREFIX_AREA_SIZE > dump.withheld.start


def _kernels_lowcores(dump: Dump) -> tuple[int, ...] | None:
    """The lowcores in the kernel's own table; None if there is no table."""
    try:
        return lowcores(Kernel(dump))
    except EvidenceError:  # the checks of VMCOREINFO and page tables report this
        return None


def _prefix(
    dump: Dump, prefix: int, before: list[int | None], known: tuple[int, ...] | None
) -> Iterator[str]:
    if prefix % PREFIX_AREA_SIZE:
        yield f"prefix {prefix:#x} is not a multiple of {PREFIX_AREA_SIZE:#x}"
        return
    if prefix in before:
        yield f"prefix {prefix:#x} is that of CPU {before.index(prefix)}"
    try:
        area = dump.read(prefix, PREFIX_AREA_SIZE)
    except EvidenceError as error:
        yield f"prefix {prefix:#x} is not all in the dump's memory: {error.message}"
        return
    if known is not None and prefix not in known:
        places = ", ".join(f"{place:#x}" for place in known)
        yield f"prefix {prefix:#x} is none of the kernel's lowcores (lowcore_ptr): {places}"
    for name, at in NEW_PSWS.items():
        mask, address = struct.unpack_from(">2Q", area, at)
        if mask & _ZERO or mask & _MODE_MASK != _MODE_64 or address & 1 or not address:
            yield f"no lowcore at {prefix:#x}: its {name} new PSW is {mask:016x} {address:016x}"
            return


def psws(dump: Dump) -> CheckResult:
    """Each CPU's PSW must be valid: required zeros are zero, and the addressing mode exists.

    A user's process may be in any mode, and a disabled wait may have any address.
    """
    cpus = dump.cpus
    if not cpus:
        return CheckResult.skipped(PSWS, "PSWs", "the dump has no CPU")
    findings = tuple(
        Finding(
            PSWS,
            FindingKind.PSW_INVALID,
            f"CPU {at}: no PSW has the mask {cpu.psw_mask:016x}",
            Cpu(at),
        )
        for at, cpu in enumerate(cpus)
        if cpu.psw_mask & _ZERO or cpu.psw_mask & _MODE_MASK == _NO_MODE
    )
    return CheckResult(PSWS, len(cpus), "PSWs", findings)


def vmcoreinfo_alone(dump: Dump) -> CheckResult:
    """It must have the required lines, be the lowcore's note, and fit the kernel in memory."""
    note = dump.vmcoreinfo
    if note is None:
        return _without_vmcoreinfo(dump)
    lines = note.rstrip(b"\0").decode(errors="replace").removesuffix("\n").split("\n")
    findings = list(vmcoreinfo.lacking(lines))
    # what a limited dump lacks is no fault: then an error is passed on
    inside = vmcoreinfo_in(dump) if dump.withheld is None else note_in(dump.read)
    if inside is None:
        message = "the absolute lowcore points to no VMCOREINFO note"
        findings.append(Finding(VMCOREINFO, FindingKind.VMCOREINFO_NOT_IN_MEMORY, message))
    elif inside.rstrip(b"\0") != note.rstrip(b"\0"):
        message = f"the note ({len(note)} bytes) is not the one in memory ({len(inside)})"
        findings.append(Finding(VMCOREINFO, FindingKind.VMCOREINFO_DIFFERS, message))
    kernel = Kernel(dump)
    if not findings and _UTS_NAME in kernel.info.lines:
        told, found = kernel.info.lines["OSRELEASE"], uts_names(kernel)["release"]
        if told != found:
            message = f"OSRELEASE is {told}, the kernel in memory says that it is {found!r}"
            findings.append(Finding(VMCOREINFO, FindingKind.VMCOREINFO_DIFFERS, message))
    return CheckResult(VMCOREINFO, len(lines), vmcoreinfo.UNIT, tuple(findings))


def _without_vmcoreinfo(dump: Dump) -> CheckResult:
    """No fault if Linux had not set it, and memory has none that only lost its pointer."""
    found = early(dump)
    if found is None:
        kind = FindingKind.VMCOREINFO_MISSING
        return CheckResult.failed(VMCOREINFO, vmcoreinfo.UNIT, kind, _NO_VMCOREINFO)
    lost = lost_note(dump) if found.image is None else None
    if lost is None:
        return CheckResult.skipped(VMCOREINFO, vmcoreinfo.UNIT, f"the dump is early: {found}")
    message = (
        f"{_NO_VMCOREINFO}: the absolute lowcore does not point to one, although memory has one at "
        f"{lost:#x}"
    )
    kind = FindingKind.VMCOREINFO_NOT_IN_MEMORY
    return CheckResult.failed(VMCOREINFO, vmcoreinfo.UNIT, kind, message)


def page_tables(dump: Dump) -> CheckResult:
    """Symbols in the kernel's image must be mapped to the image."""
    if dump.vmcoreinfo is None:
        return CheckResult.skipped(TABLES, "symbols", _NO_VMCOREINFO)
    kernel = Kernel(dump)
    symbols = [name for name in IN_IMAGE if f"SYMBOL({name})" in kernel.info.lines]
    findings = []
    unknown = 0
    for name in symbols:
        at = kernel.info.symbol(name)
        try:
            found, want = kernel.translate(at), kernel.info.image_address(at)
        except EvidenceError as error:
            if dump.withheld is None:
                findings.append(_misplaced(name, f"{name}: {error.message}"))
            unknown += dump.withheld is not None
            continue
        if found != want:
            message = f"{name} ({at:#x}) is mapped to {found:#x}, the kernel's image has {want:#x}"
            findings.append(_misplaced(name, message))
    if unknown and unknown == len(symbols):
        return CheckResult.skipped(TABLES, "symbols", _LIMITED)
    return CheckResult(TABLES, len(symbols) - unknown, "symbols", tuple(findings))


def _misplaced(symbol: str, message: str) -> Finding:
    return Finding(TABLES, FindingKind.SYMBOL_MISPLACED, message, Symbol(symbol))


def statements_alone(dump: Dump) -> CheckResult:
    """What is told several times must be the same each time."""
    if dump.vmcoreinfo is None and early(dump) is None:
        return CheckResult.skipped(statements.CHECK, statements.UNIT, _NO_VMCOREINFO)
    return statements.of_dump(dump)


def kernel_log(dump: Dump) -> CheckResult:
    """The kernel's log must be readable, with ascending record numbers."""
    if dump.vmcoreinfo is None:
        return CheckResult.skipped(LOG, "records", _NO_VMCOREINFO)
    kernel = Kernel(dump)
    if "SYMBOL(prb)" not in kernel.info.lines:
        return CheckResult.skipped(LOG, "records", "no printk ring buffer: Linux before 5.10")
    finding, panic, before = None, None, None
    count = left_out = 0
    for record in read_log(kernel):
        count += 1
        if before is not None:
            finding = finding or _disorder(before, record)
            left_out += record.sequence - before.sequence - 1
        panic, before = panic_in(record) or panic, record
    notes = [panic or "no panic in the log: the system was stopped"]
    if left_out > 0:  # a CPU may have been writing one when the system stopped
        notes.append(f"{left_out} records were not complete")
    findings = (finding,) if finding else ()
    return CheckResult(LOG, count, "records", findings, notes=tuple(notes))


def _disorder(one: Record, after: Record) -> Finding | None:
    if after.sequence > one.sequence:
        return None
    message = f"record {after.sequence} follows record {one.sequence}"
    return Finding(LOG, FindingKind.LOG_DISORDER, message, LogSequence(after.sequence))
