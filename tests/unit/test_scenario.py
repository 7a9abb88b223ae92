from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build.layout import DiskLayout
from harness.errors import UsageError
from harness.run.plan import Plan
from harness.scenario.load import load, plan_of, scenario_files
from harness.scenario.sizes import format_size, parse_size


@given(st.integers(0, 1 << 60))
def test_sizes_round_trip(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("1 GiB", 1 << 30), ("64MiB", 64 << 20), ("4096", 4096), ("2g", 2 << 30)],
)
def test_sizes_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12X", "1MM"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize("name", scenario_files())
def test_every_scenario_makes_a_plan_that_survives_json(name):
    plan = plan_of(name, load(name))
    assert plan.scenario == name
    assert Plan.from_json(plan.to_json()) == plan


def test_overrides_win_and_absent_ones_do_not():
    scenario = load("panic", {"crashed": {"memory": 1 << 30, "cpus": None}, "dump": {}})
    assert scenario.crashed.memory == 1 << 30
    assert scenario.crashed.cpus == 2


def test_the_same_crash_has_the_same_name_however_it_is_dumped():
    plan = plan_of("panic", load("panic"))
    other = plan_of("panic", load("panic", {"dump": {"layout": DiskLayout.EXT4}}))
    digests = {"kernel": "k", "initramfs": "i"}
    assert plan.snapshot_name(digests) == other.snapshot_name(digests)
    assert plan.snapshot_name(digests) != plan.snapshot_name({**digests, "kernel": "other"})
    more = plan_of("panic", load("panic", {"crashed": {"cpus": 3}}))
    assert plan.snapshot_name(digests) != more.snapshot_name(digests)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("description = ''", "description"),
        ("description = 'x'\n[crashed]\nmemroy = '1G'", "crashed.memroy"),
        ("description = 'x'\n[crashed]\nmemory = '1Q'", "crashed.memory"),
        ("description = 'x'\n[crashed]\nmemory = '1G'\n[dump]\nhsa_size = '1G'", "does not fit"),
        ("description = 'x'\n[crashed]\ncpus = 0", "crashed.cpus"),
        ("description = 'x'\n[dump]\nlayout = 'xfs'", "dump.layout"),
        ("description = 'x'\n[dump]\nhsa_size = '33554433'", "dump.hsa_size"),
        ("description = ", "Invalid value"),
    ],
)
def test_a_bad_scenario_is_refused_by_file_and_field(tmp_path, text, what):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(path))
    assert str(path) in caught.value.message
    assert what in caught.value.message
    assert "\n" not in caught.value.message


def test_an_unknown_scenario_suggests_a_near_one():
    with pytest.raises(UsageError) as caught:
        load("pannic")
    assert caught.value.hint == "did you mean 'panic'?"


def test_an_unknown_trigger_lists_those_there_are(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("description = 'x'\n[crashed]\ntrigger = 'hammer'")
    with pytest.raises(UsageError) as caught:
        plan_of("x", load(str(path)))
    assert "hammer" in caught.value.message
    assert "sysrq-c" in str(caught.value.hint)
