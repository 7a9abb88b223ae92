"""Convert a dump into another format; at most a MiB of its memory is held at a time."""

from __future__ import annotations

from pathlib import Path

from harness.dump.formats.table import format_named, writers
from harness.dump.reader import Dump
from harness.errors import EvidenceError, UsageError
from harness.progress import Progress


def convert(dump: Dump, target: Path, form: str, progress: Progress) -> None:
    """Write ``dump`` to the new file ``target`` in one of the forms of ``writers``.

    Memory, registers and VMCOREINFO do not change, as far as the form has room for them:
    the s390 forms keep registers in memory, vector registers only where the crashed system
    provided an area for them, and have neither virtual addresses nor gaps in memory. An incomplete
    dump is refused, because the copy would look complete. The s390 forms also refuse a dump from
    which pages were left out that are not zero.

    Raises UsageError for an unknown form or a target that exists, EvidenceError if the dump
    cannot be read or is not whole, HostError if the target cannot be written. No target is left
    behind then.
    """
    write = writers().get(form)
    if write is None:
        raise UsageError(f"no dump format {form!r} to write; there are {', '.join(writers())}")
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target}: exists already", hint="remove it, or choose another name")
    if dump.incomplete is not None or dump.missing:
        why = dump.incomplete or f"{dump.missing} bytes of memory are missing"
        raise EvidenceError(f"{dump.name}: incomplete, cannot be converted: {why}")
    if not format_named(form).has_gaps and dump.filtered is not None:
        message = f"{dump.name}: {dump.filtered}, and a dump in {form} has no gaps"
        fit = next(name for name in writers() if format_named(name).has_gaps)
        raise UsageError(message, hint=f"an {fit} dump has: --to {fit}")
    with progress.task(f"write {target.name}", dump.described, "B") as task:
        write(dump, target, task)
