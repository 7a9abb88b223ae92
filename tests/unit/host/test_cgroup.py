"""What control groups allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.host import cgroup


@pytest.fixture
def group(tmp_path: Path):
    """Writes a file of a group; the process is in ``/outer/inner``."""
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "root/outer/inner").mkdir(parents=True)

    def write(name: str, text: str) -> None:
        (tmp_path / "root" / name).write_text(text)

    return write


@pytest.fixture
def where(tmp_path: Path) -> dict[str, Path]:
    return {"own": tmp_path / "own", "root": tmp_path / "root"}


def test_without_limits_there_is_none(group, where):
    group("outer/memory.max", "max\n")
    group("outer/memory.current", "5\n")
    group("outer/cpu.max", "max 100000\n")
    assert cgroup.memory_left(**where) is None
    assert cgroup.cpus(**where) is None


def test_the_narrowest_group_counts(group, where):
    for name, limit in (("outer", "1000"), ("outer/inner", "700")):
        group(f"{name}/memory.max", limit)
        group(f"{name}/memory.current", "600")
    group("outer/memory.stat", "anon 100\ninactive_file 50\n")
    group("outer/inner/memory.stat", "anon 100\ninactive_file 250\n")
    assert cgroup.memory_left(**where) == 350  # inner; outer has 450
    group("outer/inner/memory.max", "max")
    assert cgroup.memory_left(**where) == 450


def test_a_group_that_has_used_all_leaves_nothing(group, where):
    group("outer/memory.max", "100")
    group("outer/memory.current", "200")
    assert cgroup.memory_left(**where) == 0


@pytest.mark.parametrize(
    ("quota", "cpus"), [("250000 100000", 2), ("50000 100000", 1), ("x 100000", None), ("", None)]
)
def test_the_time_of_cpus(group, where, quota, cpus):
    group("outer/cpu.max", quota)
    assert cgroup.cpus(**where) == cpus


def test_a_host_without_such_groups(tmp_path):
    missing = {"own": tmp_path / "own", "root": tmp_path / "root"}
    assert cgroup.memory_left(**missing) is None
    assert cgroup.cpus(**missing) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_content_is_a_limit_or_none(group, where, own, limit, cpu):
    where["own"].write_bytes(b"0::/outer\n" + own)
    for name, content in (("memory.max", limit), ("memory.current", own), ("cpu.max", cpu)):
        (where["root"] / "outer" / name).write_bytes(content)
    assert (cgroup.memory_left(**where) or 0) >= 0
    assert (cgroup.cpus(**where) or 1) >= 1
