"""Run the three commands that check a dump without QEMU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.dump.collect import collect_partition
from harness.dump.detect import open_dump
from harness.errors import EvidenceError
from harness.evidence.names import DUMP, SUPERBLOCK
from harness.inspect import check as alone
from harness.inspect import compare
from harness.progress import NoProgress
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.run_checks import run_checks
from tests.mutations.mutation import REFUSED
from tests.mutations.right import Broken, crash, dump
from tests.support.evidence import write_sparse


@dataclass(frozen=True)
class Said:
    """The names of a command's red checks, and all findings, one a line."""

    red: frozenset[str]
    text: str

    @classmethod
    def of(cls, results: tuple[CheckResult, ...]) -> Said:
        red = frozenset(result.check for result in results if not result.passed)
        return cls(red, "\n".join(item.message for each in results for item in each.findings))


@dataclass(frozen=True)
class Verdicts:
    """Results of ``zharness verify``, ``dump check``, and ``dump compare`` with the right dump."""

    verify: Said
    check: Said
    compare: Said


def verdicts(broken: Broken, root: Path) -> Verdicts:
    """Check the dump with all three commands; its evidence, as after a run, is below ``root``."""
    path, right = root / "broken", root / "right"
    write_sparse(right, dump(broken.form))
    evidence = evidence_of(broken, root)
    return Verdicts(
        _verified(evidence),
        _said(lambda: _checked(path)),
        _said(lambda: _compared(right, path)),
    )


def evidence_of(broken: Broken, root: Path) -> Path:
    """The evidence of a run that left this dump; the dump itself is ``root``/broken."""
    path, evidence = root / "broken", root / "evidence"
    broken.write(path)
    layout = "partition" if broken.on_partition else "ext4"
    crash(broken.form, layout=layout, memory=broken.crashed, content=bytes(broken.data)).write(
        evidence
    )
    if broken.on_partition:
        into = evidence / "dump"
        for name in (DUMP, SUPERBLOCK):
            (into / name).unlink()
        collect_partition(path, into, NoProgress()).save(into)
    return evidence


def _verified(root: Path) -> Said:
    """Verify never refuses: a bad dump is a finding, and the rest of the evidence is right."""
    with Evidence.open(root) as evidence:
        return Said.of(run_checks(evidence).results)


def _checked(path: Path) -> tuple[CheckResult, ...]:
    with open_dump(path) as opened:
        return alone.check(opened, alone.superblock_of(path), NoProgress())


def _compared(right: Path, path: Path) -> tuple[CheckResult, ...]:
    with open_dump(right) as one, open_dump(path) as other:
        return compare.compare(one, other, NoProgress())


def _said(results: Callable[[], tuple[CheckResult, ...]]) -> Said:
    try:
        return Said.of(results())
    except EvidenceError as error:
        return Said(frozenset({REFUSED}), error.message)
