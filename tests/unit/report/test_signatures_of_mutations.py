"""How well signatures tell causes apart, measured over all mutations of dumps."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from harness.report.signature import signature_of
from harness.report.verdict import Verdict
from harness.verify.evidence import Evidence
from harness.verify.run_checks import run_checks
from tests.mutations.commands import evidence_of
from tests.mutations.mutation import Mutation
from tests.mutations.right import Broken
from tests.mutations.table import MUTATIONS

LEAST = 60  # signatures of the 107 mutations; 65 were measured
MOST_TOGETHER = 16  # mutations with one signature: one page with content from nowhere


def signature(mutation: Mutation, root: Path) -> str | None:
    broken = Broken(mutation.form, on_partition=mutation.on_partition)
    mutation.change(broken)
    with Evidence.open(evidence_of(broken, root)) as evidence:
        return signature_of(Verdict.of(run_checks(evidence), directory=root))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, list[str]]:
    """The mutations by their signature."""
    found = defaultdict(list)
    for number, mutation in enumerate(MUTATIONS):
        root = tmp_path_factory.mktemp(str(number))
        found[signature(mutation, root)].append(f"{mutation.name}, {mutation.where}")
    return found


def test_every_mutation_has_a_signature(groups):
    assert None not in groups


def test_different_causes_have_different_signatures(groups):
    assert len(groups) >= LEAST, groups
    assert max(map(len, groups.values())) <= MOST_TOGETHER, groups


def test_the_same_cause_has_the_same_signature_at_another_place(tmp_path):
    """Each mutation again, with evidence in another directory."""
    for number, mutation in enumerate(MUTATIONS[::8]):
        first, second = tmp_path / f"a{number}", tmp_path / f"other-{number}-9"
        first.mkdir()
        second.mkdir()
        assert signature(mutation, first) == signature(mutation, second)
