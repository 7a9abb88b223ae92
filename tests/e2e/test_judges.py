"""The genuine zgetdump, on a dump of our own and on the partition that it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.store import Store
from harness.dump.convert import convert
from harness.dump.detect import open_dump
from harness.judges import agreement
from harness.judges.zgetdump import Zgetdump
from harness.paths import default_store
from harness.progress import NoProgress
from harness.report.verdict import Result
from harness.run import engine
from harness.run.plan import Plan
from harness.scenario.load import load

pytestmark = pytest.mark.e2e

MEMORY = 256 << 20


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(default_store(), NoProgress())


@pytest.fixture(scope="module")
def evidence(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("judged") / "evidence"
    plan = Plan("quick", load("quick"))
    verdict = engine.run(plan, output=directory, store=store, progress=NoProgress(), keep=True)
    assert verdict.result is Result.PASS
    with open_dump(directory / "dump/dump") as dump:
        convert(dump, directory / "dump.s390", "s390", NoProgress())
    return directory


@pytest.mark.parametrize("file", ["dump/dump", "disk.img", "dump.s390"])
def test_zgetdump_agrees(evidence: Path, store: Store, file: str):
    path, zgetdump = evidence / file, Zgetdump(store, NoProgress())
    with open_dump(path) as dump, zgetdump.judging(path, dump) as opinion:
        result = agreement.check(dump, opinion, NoProgress())
    assert [finding.message for finding in result.findings] == []
    assert result.compared > MEMORY // 4096


def test_zgetdump_is_not_pleased_with_anything(evidence: Path, store: Store, tmp_path: Path):
    damaged = tmp_path / "damaged"
    with (evidence / "dump/dump").open("rb") as whole:
        damaged.write_bytes(bytes(4096) + whole.read(1 << 20))
    with (
        open_dump(evidence / "dump/dump") as dump,
        Zgetdump(store, NoProgress()).judging(damaged, dump) as opinion,
    ):
        result = agreement.check(dump, opinion, NoProgress())
    assert not result.passed
    assert opinion.info.status != 0
