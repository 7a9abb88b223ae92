"""Dumps from one format into another, without ever holding more than a MiB of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.dump.formats.elf.writer import write_elf
from harness.dump.formats.s390.writer import write_s390, write_s390_ext
from harness.dump.reader import Dump
from harness.errors import EvidenceError, UsageError
from harness.progress import Progress, Task

Writer = Callable[[Dump, Path, Task], None]

# by the name that the reader of the same format has
WRITERS: dict[str, Writer] = {
    "elf": write_elf,
    "s390": write_s390,
    "s390_ext": write_s390_ext,
}


def convert(dump: Dump, target: Path, form: str, progress: Progress) -> None:
    """Write ``dump`` to the new file ``target`` in one of the forms of ``WRITERS``.

    Memory, registers and VMCOREINFO stay what they are, as far as the form has room for them:
    the s390 forms keep registers in memory, vector registers only where the crashed system
    provided an area for them, and have neither virtual addresses nor gaps in memory. A dump with
    something missing is refused, for the copy would look whole; so is, by the s390 forms, one of
    which pages were left out that are not zero.

    Raises UsageError for an unknown form or a target that exists, EvidenceError if the dump
    cannot be read or is not whole, HostError if the target cannot be written. No target is left
    behind then.
    """
    if form not in WRITERS:
        raise UsageError(f"no dump format {form!r} to write; there are {', '.join(WRITERS)}")
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target}: exists already", hint="remove it, or choose another name")
    if dump.incomplete is not None or dump.missing:
        why = dump.incomplete or f"{dump.missing} bytes of memory are missing"
        raise EvidenceError(f"{dump.name}: incomplete, cannot be converted: {why}")
    if form != "elf" and dump.filtered is not None:
        message = f"{dump.name}: {dump.filtered}, and a dump in {form} has no gaps"
        raise UsageError(message, hint="an elf dump has: --to elf")
    with progress.task(f"write {target.name}", dump.described, "B") as task:
        WRITERS[form](dump, target, task)
