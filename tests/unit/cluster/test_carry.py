"""What a host asks before it begins with a run."""

from __future__ import annotations

import pytest

from harness.cluster.carry import digest_of, require_files
from harness.errors import UsageError
from harness.run.plan import Plan
from harness.scenario.model import Scenario


def plan_with(**dump) -> Plan:
    return Plan("x", Scenario.model_validate({"description": "x", "dump": dump}))


def test_the_files_of_a_plan_are_those_of_this_host(tmp_path):
    kernel, patch, tree = tmp_path / "bzImage", tmp_path / "a.patch", tmp_path / "linux"
    kernel.touch()
    patch.touch()
    tree.mkdir()
    assert plan_with(kernel=str(kernel)).paths() == [kernel]
    built = plan_with(source=f"{tree}@v6.12", patches=[str(patch)])
    assert built.paths() == [patch, tree]
    assert plan_with().paths() == []


def test_a_host_that_has_the_same_file_takes_the_run(tmp_path):
    file = tmp_path / "bzImage"
    file.write_bytes(b"kernel")
    require_files("a", {str(file): digest_of(file), str(tmp_path): None})


@pytest.mark.parametrize("content", [None, b"other"])
def test_a_host_without_the_same_file_refuses_the_run(tmp_path, content):
    file = tmp_path / "bzImage"
    file.write_bytes(b"kernel")
    digest = digest_of(file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"bzImage .* on the host a"):
        require_files("a", {str(file): digest})


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="is not there on the host a"):
        require_files("a", {str(tmp_path / "linux"): None})
