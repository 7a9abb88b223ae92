from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import OverrideError, UsageError
from harness.run.plan import Plan, plan_of
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.load import load, load_all, scenario_files, split_cell
from harness.scenario.model import section_of
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
def test_invalid_sizes_are_refused(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize("name", scenario_files())
def test_every_scenario_makes_a_plan_that_survives_json(name):
    for concrete in load_all(name):
        plan = plan_of(concrete.name, concrete.scenario)
        assert plan.name == concrete.name
        assert Plan.from_json(plan.to_json(), Path("run.json")) == plan


def test_overrides_win_and_absent_ones_do_not():
    scenario = load("panic", {"crashed": {"memory": 1 << 30, "smp": None}, "dump": {}})
    assert scenario.crashed.memory == 1 << 30
    assert scenario.crashed.smp == 2


def test_the_same_crash_has_the_same_name_however_it_is_dumped():
    plan = plan_of("panic", load("panic"))
    other = plan_of("panic", load("panic", {"dump": {"layout": DiskLayout.EXT4}}))
    digests = {"kernel": "k", "initramfs": "i"}
    assert plan.snapshot_name(digests) == other.snapshot_name(digests)
    assert plan.snapshot_name(digests) != plan.snapshot_name({**digests, "kernel": "other"})
    more = plan_of("panic", load("panic", {"crashed": {"smp": 3}}))
    assert plan.snapshot_name(digests) != more.snapshot_name(digests)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("description = ''", "description"),
        ("description = 'x'\n[crashed]\nmemroy = '1G'", "crashed.memroy"),
        ("description = 'x'\n[crashed]\nmemory = '1Q'", "crashed.memory"),
        ("description = 'x'\n[dump]\nhsa_size = '2049M'", "dump.hsa_size: must be at most 2G"),
        ("description = 'x'\n[crashed]\nsmp = 0", "crashed.smp"),
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


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("description = 'x'\n\n[crashed]\n  smp = 'two'", 4, "crashed.smp"),
        ("description = 'x'\n[dump]\n'layout' = 'xfs'", 3, "dump.layout"),
        (
            "description = 'x'\n[crash]\nsmp = 2",
            2,
            "crash: no such section; did you mean 'crashed'?",
        ),
        ("description = 'x'\n[expect]\ndump_console = ['(']", 3, "expect.dump_console"),
        ("description = 'x'\n[matrix]\nsmp = [1]\nsize = ['1G']", 4, "matrix.size: no such field"),
        ("description = 'x'\n[matrix]\nkernel = ['a']", 3, "crashed.kernel or dump.kernel"),
        ("description = 'x'\n[matrix]\nsmp = []", 3, "at least one value"),
        ("matrix = 3", 1, "matrix: is a table"),
        ("extends = 3", 1, "extends: names one scenario"),
        (f"description = 'x'\n[matrix]\nsmp = {[1] * 300}", 2, "300 scenarios"),
        ("[matrix]\nsmp = [1]\n'crashed.smp' = [2]", 3, "crashed.smp: is the same as smp"),
        ("description = 'x'\n[expect]\ntime_limit = inf", 3, "expect.time_limit"),
        ("description = 'x'\n[crashed]\nmemory = 5", 3, "a multiple of 1M"),
        ("crashed = 3\ndescription = 'x'\n[matrix]\nsmp = [1]", 1, "crashed: must be a table"),
    ],
)
def test_a_refusal_names_the_line(tmp_path, text, line, what):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_all(str(path))
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert what in caught.value.message


def test_a_matrix_is_every_combination_in_order(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text("description = 'x'\n[matrix]\nsmp = [1, 2]\n'dump.hsa_size' = ['32M', '64M']\n")
    found = load_all(str(path))
    assert [each.name for each in found] == [
        "m[smp=1,dump.hsa_size=32M]",
        "m[smp=1,dump.hsa_size=64M]",
        "m[smp=2,dump.hsa_size=32M]",
        "m[smp=2,dump.hsa_size=64M]",
    ]
    assert [each.scenario.crashed.smp for each in found] == [1, 1, 2, 2]
    assert load(f"{path}[smp=2,dump.hsa_size=32M]") == found[2].scenario
    with pytest.raises(UsageError, match="matrix of 4"):
        load(str(path))
    with pytest.raises(UsageError, match="no scenario 'm\\[smp=3]'"):
        load(f"{path}[smp=3]")


@pytest.mark.parametrize(
    ("name", "file", "cell"),
    [
        ("m", "m", ""),
        ("m[smp=2]", "m", "[smp=2]"),
        ("m.toml[dump.kernel=a.toml[1]]", "m.toml", "[dump.kernel=a.toml[1]]"),
        ("a[1]/m.toml", "a[1]/m.toml", ""),
        ("a[x=1]/m.toml[smp=2]", "a[x=1]/m.toml", "[smp=2]"),
        ("m[kernel=/k.toml[1]]", "m", "[kernel=/k.toml[1]]"),
    ],
)
def test_brackets_of_a_path_are_not_a_cell(name, file, cell):
    assert split_cell(name) == (file, cell)


def test_a_path_may_have_brackets(tmp_path):
    path = tmp_path / "set[1]" / "m[a].toml"
    path.parent.mkdir()
    path.write_text("description = 'x'\n[matrix]\nsmp = [1, 2]\n")
    assert [each.name for each in load_all(str(path))] == ["m[a][smp=1]", "m[a][smp=2]"]
    scenario = load(f"{path}[smp=2]")
    assert scenario.crashed.smp == 2
    assert plan_of(f"{path}[smp=2]", scenario).name == "m[a][smp=2]"


def refusal_of(text, tmp_path, **crashed):
    """What is said of options that do not go with the file ``text``."""
    path = tmp_path / "x.toml"
    path.write_text(f"description = 'x'\n{text}\n")
    with pytest.raises(UsageError) as caught:
        load(str(path), {"crashed": crashed})
    return caught.value


def test_wrong_options_are_not_blamed_on_the_file(tmp_path):
    error = refusal_of("[crashed]\nmemory = '1G'", tmp_path, memory=64 << 20)
    assert isinstance(error, OverrideError)
    assert error.fields == [("crashed", "memory")]
    assert error.message == "crashed.memory: must be at least 128M"
    assert error.naming({("crashed", "memory"): "--memory"}).startswith(
        "--memory: must be at least"
    )


def test_what_was_given_and_the_file_contradict_each_other(tmp_path):
    text = "[crashed]\nload = 'scsi'\n[expect]\nreipl = true"
    error = refusal_of(text, tmp_path, memory=256 << 20, load="direct")
    assert isinstance(error, OverrideError)
    assert error.fields == [("crashed", "memory"), ("crashed", "load")]
    assert "expect.reipl: needs crashed.load = 'scsi'" in error.message
    assert error.message.endswith(f"({tmp_path}/x.toml)")


def test_a_files_own_mistake_is_its_own_whatever_was_given(tmp_path):
    error = refusal_of("[dump]\nhsa_size = '1M'", tmp_path, memory=256 << 20)
    assert error.message.startswith(f"{tmp_path}/x.toml:3: dump.hsa_size: ")


def test_an_override_takes_its_field_out_of_the_matrix(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text("description = 'x'\n[matrix]\nsmp = [1, 2]\nhsa_size = ['32M', '64M']\n")
    found = load_all(str(path), {"crashed": {"smp": 4}})
    assert [each.name for each in found] == ["m[hsa_size=32M]", "m[hsa_size=64M]"]
    assert {each.scenario.crashed.smp for each in found} == {4}


def test_an_extending_scenario_changes_only_its_own_fields(tmp_path):
    (tmp_path / "base.toml").write_text(
        "description = 'base'\n[crashed]\nsmp = 3\nmemory = '256M'\n[matrix]\nlayout = ['ext4']\n"
    )
    (tmp_path / "heir.toml").write_text("extends = 'base'\n[crashed]\nmemory = '1G'\n")
    (found,) = load_all(str(tmp_path / "heir.toml"))
    assert found.name == "heir[layout=ext4]"
    assert found.scenario.description == "base"
    assert (found.scenario.crashed.smp, found.scenario.crashed.memory) == (3, 1 << 30)
    assert found.scenario.dump.layout is DiskLayout.EXT4


def test_an_extending_scenarios_field_replaces_an_inherited_matrix(tmp_path):
    (tmp_path / "base.toml").write_text(
        "description = 'base'\n[matrix]\nsmp = [1, 2]\n'dump.hsa_size' = ['32M', '64M']\n"
    )
    heir = tmp_path / "heir.toml"
    heir.write_text("extends = 'base'\n[crashed]\nsmp = 3\n")
    found = load_all(str(heir))
    assert [each.name for each in found] == ["heir[dump.hsa_size=32M]", "heir[dump.hsa_size=64M]"]
    assert {each.scenario.crashed.smp for each in found} == {3}
    heir.write_text("extends = 'base'\n[matrix]\nhsa_size = ['128M']\n")
    assert [each.name for each in load_all(str(heir))] == [
        "heir[smp=1,hsa_size=128M]",
        "heir[smp=2,hsa_size=128M]",
    ]


def test_scenarios_that_extend_each_other_are_refused(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.toml").write_text(f"extends = '{other}'")
    with pytest.raises(UsageError, match="extends itself"):
        load_all(str(tmp_path / "a.toml"))


def test_a_field_is_named_by_itself_where_that_is_clear():
    assert section_of("smp") == ("crashed", "smp")
    assert section_of("dump.kernel") == ("dump", "kernel")


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
    assert "sysrq-c" in caught.value.message


@pytest.mark.parametrize("line", ['workload = "busy"', "content = 5", 'load = "scsi"'])
def test_a_system_that_dies_in_its_boot_does_nothing_before(tmp_path, line):
    file = tmp_path / "early.toml"
    file.write_text(f'description = "x"\n[crashed]\ntrigger = "boot-panic"\n{line}\n')
    with pytest.raises(UsageError, match="trigger boot-panic leaves no time for it"):
        load_all(str(file))


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("0x1fff000", 33_550_336),
        ("0x2ffff000", 805_302_272),
        ("2G", 1 << 31),
        ("33550336", 33_550_336),
    ],
)
def test_an_hsa_has_any_number_of_pages_up_to_2_gib(tmp_path, written, size):
    path = tmp_path / "x.toml"
    path.write_text(f"description = 'x'\n[dump]\nhsa_size = '{written}'\n")
    assert load(str(path)).dump.hsa_size == size
