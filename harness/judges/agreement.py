"""Whether another reader makes of a dump what ours does: a check of its own."""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.judges.zgetdump import Opinion, Said
from harness.verify.findings import CheckResult, Finding

CHECK, UNIT = "zgetdump", "facts and pages"
PAGE = 4096
_CHUNK = 1 << 20
_OSRELEASE = b"OSRELEASE="


def check(dump: Dump, opinion: Opinion) -> CheckResult:
    """Compare what zgetdump said and wrote with what our reader finds.

    What it says: format, kernel release, number of CPUs. What it wrote: all memory, every
    register, VMCOREINFO.
    """
    messages, compared = [*_said_faults("zgetdump -i", opinion.info)], 0
    for what, ours, theirs in _facts(dump, opinion):
        compared += 1
        if ours != theirs:
            messages.append(f"{what}: zgetdump says {theirs!r}, we {ours!r}")
    for form, said in opinion.converted.items():
        messages += _said_faults(f"zgetdump -f {form}", said)
        try:
            with opinion.dump(form) as converted:
                faults, pages = _differences(dump, converted)
        except EvidenceError as error:
            faults, pages = [error.message], 0
        compared += pages
        messages += [f"converted to {form} by zgetdump: {fault}" for fault in faults]
    findings = tuple(Finding(CHECK, message) for message in messages)
    return CheckResult(CHECK, compared, UNIT, findings, notes=(f"zgetdump {opinion.version}",))


def _said_faults(what: str, said: Said) -> Iterator[str]:
    if said.status:
        last = said.text.splitlines()[-1:] or ["nothing"]
        yield f"{what} ended with {said.status}: {last[0]}"


def _facts(dump: Dump, opinion: Opinion) -> Iterator[tuple[str, str, str | None]]:
    fields = opinion.fields
    yield "dump format", dump.format, fields.get("Dump format")
    yield "CPUs", str(len(dump.cpus)), fields.get("CPU count (online)")
    if dump.format != "elf":  # zgetdump 2.16 finds no VMCOREINFO in the memory of Linux 6.10
        return
    for line in (dump.vmcoreinfo or b"").splitlines():
        if line.startswith(_OSRELEASE):
            release = line.removeprefix(_OSRELEASE).decode(errors="replace")
            yield "kernel release", release, fields.get("UTS kernel release")


def _differences(ours: Dump, theirs: Dump) -> tuple[list[str], int]:
    """What differs, and how many pages were compared."""
    faults: list[str] = []
    pages, differing = 0, []
    for start, end in ours.memory_map:
        for at in range(start, end, _CHUNK):
            size = min(_CHUNK, end - at)
            pages += -(-size // PAGE)
            if ours.read(at, size) != theirs.read(at, size):
                differing.append(at)
    if differing:
        faults.append(
            f"memory differs in {len(differing)} MiB, first in that from {differing[0]:#x} on"
        )
    if len(ours.cpus) != len(theirs.cpus):
        faults.append(f"{len(theirs.cpus)} CPUs, not {len(ours.cpus)}")
    elif ours.cpus != theirs.cpus:
        pairs = enumerate(zip(ours.cpus, theirs.cpus, strict=True))
        which = [number for number, (one, other) in pairs if one != other]
        faults.append(f"registers of CPUs {which} differ")
    if _line(ours.vmcoreinfo) != _line(theirs.vmcoreinfo):
        faults.append("VMCOREINFO differs")
    return faults, pages


def _line(note: bytes | None) -> bytes:
    return (note or b"").rstrip(b"\0")
