"""The check of files that were on the dump disk before the dump."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import EvidenceError
from harness.evidence.known_files import FoundFile, KnownFile, KnownFiles
from harness.verify.checks.known_files import check
from harness.verify.findings import CheckResult
from harness.verify.kinds import FindingKind

A, B = "a" * 64, "b" * 64
FILE = KnownFile(path="/known/a", size=5, sha256=A, mtime=9)
OLDER = [
    KnownFile(path=f"/dump.{n}", size=7, sha256=A, mtime=time, older_dump=True)
    for n, time in ((0, 3), (1, 1), (2, 2))
]
BEFORE = [FILE, *OLDER]


def found(*gone: str, **changes: Any) -> list[FoundFile]:
    """All files as they were, but for those that are gone, and changes to /known/a."""
    return [
        FoundFile(path=file.path)
        if file.path in gone
        else FoundFile(
            **(
                {"path": file.path, "size": file.size, "sha256": file.sha256}
                | (changes if file is FILE else {})
            )
        )
        for file in BEFORE
    ]


def checked(after: list[FoundFile] | None, deleted: int = 0) -> CheckResult:
    files = KnownFiles(before=BEFORE, after=after)
    evidence: Any = SimpleNamespace(files=files, expect=SimpleNamespace(deleted=deleted))
    return check(evidence)


def kinds(result: CheckResult) -> list[FindingKind]:
    return [finding.kind for finding in result.findings]


def test_files_that_are_all_there_are_green():
    result = checked(found())
    assert result.passed
    assert result.compared == len(BEFORE)


def test_the_oldest_dumps_may_be_deleted_if_the_scenario_expects_that():
    assert checked(found("/dump.1"), deleted=1).passed
    assert checked(found("/dump.1", "/dump.2"), deleted=2).passed


@pytest.mark.parametrize(
    ("gone", "deleted", "expected"),
    [
        (["/dump.1"], 0, [FindingKind.FILE_GONE]),
        (["/dump.0"], 1, [FindingKind.FILE_GONE, FindingKind.FILE_NOT_DELETED]),
        ([], 1, [FindingKind.FILE_NOT_DELETED]),
        (["/known/a"], 0, [FindingKind.FILE_GONE]),
        (["/known/a", "/dump.1"], 1, [FindingKind.FILE_GONE]),
        (["/dump.0", "/dump.1", "/dump.2"], 4, [FindingKind.FILE_NOT_DELETED]),
    ],
)
def test_others_may_not(gone, deleted, expected):
    assert kinds(checked(found(*gone), deleted)) == expected


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"sha256": B}, FindingKind.FILE_CHANGED, "/known/a has other content"),
        ({"size": 6, "sha256": None}, FindingKind.FILE_CHANGED, "/known/a has 6 bytes, it had 5"),
        ({"size": None, "fault": "loop"}, FindingKind.UNREADABLE, "/known/a cannot be read: loop"),
    ],
)
def test_a_file_that_changed_is_red(changes, kind, says):
    (finding,) = checked(found(**changes)).findings
    assert finding.kind is kind
    assert says in finding.message


def test_a_path_that_nobody_looked_at_is_gone():
    assert kinds(checked(found()[1:])) == [FindingKind.FILE_GONE]


def test_files_that_were_not_looked_for_are_no_pass():
    with pytest.raises(EvidenceError, match="were not looked for"):
        checked(None)


def test_without_known_files_the_check_is_skipped():
    evidence: Any = SimpleNamespace(files=None)
    assert check(evidence).skipped_reason is not None
