"""dump judge: which tools are asked about a dump, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.detect import open_dump
from harness.dump.given_disk.image import copy_image, in_qcow2
from harness.dump.reader import Dump
from harness.dump.sparse_writer import copy_content
from harness.errors import UsageError
from harness.host.paths import require_file
from harness.images.store import Store
from harness.judges import agreement, libkdumpfile
from harness.judges.crash import judge as crash_judge
from harness.judges.crash.guest import Crash
from harness.judges.zgetdump import Zgetdump
from harness.progress import Progress
from harness.verify.findings import CheckResult


@contextmanager
def for_judges(
    file: Path, member: str | None, sector_size: int | None, progress: Progress
) -> Iterator[tuple[Path, int | None]]:
    """The file that the judges get, and the size of its sectors, if that is to be told.

    They know no qcow2 and no file systems, so these are copied out of their image.
    """
    with TemporaryDirectory(prefix="judge-") as scratch:
        plain = Path(scratch) / file.name
        if member is not None:
            with open_dump(file, member, sector_size) as dump:
                copy_content(dump.content, plain, progress)
            yield plain, None
        elif in_qcow2(file):
            copy_image(file, plain)
            yield plain, sector_size
        else:
            yield file, sector_size


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
