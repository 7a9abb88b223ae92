"""dump judge: which tools are asked about a dump, and what they say."""

from __future__ import annotations

from pathlib import Path

from harness.dump.reader import Dump
from harness.errors import UsageError
from harness.host.paths import require_file
from harness.images.store import Store
from harness.judges import agreement, libkdumpfile
from harness.judges.crash import judge as crash_judge
from harness.judges.crash.guest import Crash
from harness.judges.zgetdump import Zgetdump
from harness.progress import Progress
from harness.verify.findings import CheckResult


def opinions(
    file: Path,
    dump: Dump,
    vmlinux: Path | None,
    suite: str | None,
    store: Store,
    progress: Progress,
) -> tuple[CheckResult, ...]:
    """One check for each tool; those that do not know ``dump`` are skipped.

    Raises UsageError if none of the two that run in a guest can judge it.
    """
    if vmlinux is not None:
        require_file(vmlinux, "vmlinux")
    zgetdump, crash = Zgetdump(store, progress, suite=suite), Crash(store, progress, suite=suite)
    by_crash = crash_judge.check(file, dump, vmlinux, crash)
    why = zgetdump.unknown(dump)
    if why and by_crash.skipped_reason is None:
        by_zgetdump = CheckResult.skipped(agreement.CHECK, agreement.UNIT, why)
    elif why and vmlinux is not None:
        raise UsageError(f"{dump.name}: {why}; {by_crash.skipped_reason}")
    else:
        with zgetdump.judging(file, dump) as opinion:
            by_zgetdump = agreement.check(dump, opinion, progress)
    return by_zgetdump, libkdumpfile.check(file, dump), by_crash
