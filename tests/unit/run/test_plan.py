"""The name of a stored crash: it depends on everything that determines the crash, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.evidence import snapshot
from harness.run import plan as plan_module
from harness.run.plan import Plan
from harness.scenario.crashed import Crashed
from harness.scenario.model import Scenario

DIGESTS = {"kernel": "k", "initramfs": "i", "disk": "d", "qemu": "q"}
BASE: dict[str, Any] = {
    "memory": "512M",
    "smp": 2,
    "cpu_model": "max",
    "load": "scsi",
    "trigger": "sysrq-c",
    "workload": None,
    "content": None,
    "witnesses": None,
    "parmline": "",
    # told by digests of their content
    "kernel": None,
    "vmlinux": None,
    "source": None,
    "patches": [],
    "config": [],
    "system": "minimal",
    "suite": None,
    "packages": [],
    "files": [],
    "first_boot": None,
    "debug_symbols": False,
    "frozen": False,
    "disk": None,
    "ssh": None,
}
OTHER = {
    "memory": "1G",
    "smp": 3,
    "cpu_model": "max,vx=off",
    "load": "direct",
    "trigger": "init-killed",
    "workload": "busy",
    "content": 0,
    "witnesses": True,
    "parmline": "nosmt",
    "kernel": "/another/bzImage",
    "vmlinux": "/another/vmlinux",
    "source": "linux-source-6.1",
    "patches": ["another.patch"],
    "config": ["CONFIG_ANOTHER=y"],
    "system": "debian",
    "suite": "trixie",
    "packages": ["stress"],
    "files": ["/etc/hosts => /etc/hosts"],
    "first_boot": "/a/script",
    "debug_symbols": True,
    "frozen": True,
    "disk": "/a/disk",
    "ssh": {"key": "/another/key", "host_key": "ssh-ed25519 AAAA"},
}
FULL = {"system": "debian"}
GIVEN = {"disk": "/the/disk", "ssh": {"key": "/a/key", "host_key": "/a/host.pub"}}
AROUND: dict[str, dict[str, Any]] = {  # the fields that another one needs beside it
    **dict.fromkeys(("suite", "packages", "files", "first_boot"), FULL),
    "debug_symbols": {**FULL, "witnesses": True},  # with a vmlinux it is asked, if not told
    **dict.fromkeys(("disk", "ssh"), GIVEN),
}
BY_CONTENT = {"kernel", "vmlinux", "source", "patches", "config", *AROUND}


def plan(name: str = "one", **crashed: Any) -> Plan:
    data = {"description": "a test", "crashed": {**BASE, **crashed}}
    return Plan(name, Scenario.model_validate(data))


NAME = plan().snapshot_name(DIGESTS)


def test_every_field_of_the_schema_is_looked_at():
    assert BASE.keys() == OTHER.keys() == Crashed.model_fields.keys()


@pytest.mark.parametrize("field", OTHER)
def test_fields_that_determine_the_crash_change_its_name(field: str):
    around = AROUND.get(field, {})
    changed = plan(**{**around, field: OTHER[field]}).snapshot_name(DIGESTS)
    assert (changed != plan(**around).snapshot_name(DIGESTS)) is (field not in BY_CONTENT)


@pytest.mark.parametrize("field", OTHER)
def test_before_anything_is_built_every_field_tells_crashes_apart(field: str):
    around = AROUND.get(field, {})
    changed = plan(**{**around, field: OTHER[field]}).crash_key()
    assert changed != plan(**around).crash_key()


@pytest.mark.parametrize("what", DIGESTS)
def test_each_digest_changes_the_name(what: str):
    assert plan().snapshot_name({**DIGESTS, what: "other"}) != NAME


def test_the_format_changes_the_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan_module, "FORMAT", snapshot.FORMAT + 1)
    assert plan().snapshot_name(DIGESTS) != NAME


@pytest.mark.parametrize(
    "change", [{"setup": ("sync",)}, {"command": "reboot"}, {"parmline": "x=1"}, {"restart": True}]
)
def test_another_definition_of_the_trigger_changes_the_name(monkeypatch, change: dict):
    trigger = replace(plan().crash.trigger, **change)
    monkeypatch.setattr(plan_module, "trigger_named", lambda _: trigger)
    assert plan().snapshot_name(DIGESTS) != NAME


ELSEWHERE: dict[str, Any] = {
    "description": "another",
    "dump": {
        "hsa_size": "32M",
        "format": "s390",
        "layout": "ext4",
        "disk_size": "1G",
        "sector_size": 4096,
        "partition": 5,
        "zipl": "sid",
        "table": "gpt",
        "tool": "s390-tools",
        "program": Path("/zfcpdump"),
        "initramfs": "/i",
        "built_in": True,
        "disk": "/d",
        "kernel": "/k",
        "source": "linux-source-6.1",
        "patches": ["another.patch"],
        "config": ["CONFIG_ANOTHER=y"],
        "parmline": "dump_debug=6",
        "beside": "after",
        "files": 1,
        "older_dumps": 2,
        "damage": ["journal"],
        "console": ["Delete => yes"],
        "lun": 5,
        "wwpn": "0x500507630300c562",
        "other_luns": [7],
        "bootprog": 3,
        "br_lba": 40,
        "scp_data": "dump_debug=6",
    },
    "faults": {"inject": ["no-sdias"]},
    "expect": {
        "verdict": "FAIL",
        "findings": ["pages: "],
        "crash_console": ["a"],
        "dump_console": ["b"],
        "reipl": True,
        "time_limit": 2,
        "early": True,
        "deleted": 1,
    },
}


FAILING = {"verdict": "FAIL", "findings": ["x"]}  # one needs the other
USED = {"layout": "ext4", "files": 3}
NEEDED: dict[str, dict[str, Any]] = dict.fromkeys(FAILING, FAILING) | dict.fromkeys(
    ("files", "older_dumps", "damage"), USED
)
NEEDED["beside"] = {"files": 3}


def test_how_it_is_dumped_and_verified_does_not():
    assert Scenario.model_fields.keys() == {"crashed", *ELSEWHERE}
    for section in ("dump", "faults", "expect"):
        fields = set(getattr(plan().scenario, section).model_dump())
        assert fields - {"own_dump"} == ELSEWHERE[section].keys()  # needs a full system
        for field, value in ELSEWHERE[section].items():
            needed = NEEDED.get(field, {})
            data = {"description": "a test", "crashed": BASE, section: {**needed, field: value}}
            scenario = Scenario.model_validate(data)
            assert scenario != plan().scenario, field
            assert Plan("one", scenario).snapshot_name(DIGESTS) == NAME, field
            assert Plan("one", scenario).crash_key() == plan().crash_key(), field
    for other in (
        plan("two"),
        replace(plan(), time_factor=3.0),
        Plan("one", plan().scenario.model_copy(update={"description": "another"})),
    ):
        assert other.snapshot_name(DIGESTS) == NAME
        assert other.crash_key() == plan().crash_key()


def test_a_full_system_that_is_loaded_again_tells_how_it_is_before():
    def key(**expect: bool) -> str:
        data = {"crashed": {"system": "debian", "load": "scsi"}, "expect": expect}
        return Plan("x", Scenario.model_validate({"description": "x", **data})).crash_key()

    assert key(reipl=True) != key()
    assert key(reipl=True) == key(reipl=True, own_dump=True)


def test_people_can_read_it(tmp_path: Path):
    assert NAME.startswith("sysrq-c-2cpu-512M-")
    assert plan(workload="busy").snapshot_name(DIGESTS).startswith("sysrq-c-busy-2cpu-512M-")
    assert (tmp_path / NAME).parent == tmp_path, "it is one component of a path"


def test_a_plan_names_the_files_of_a_full_system_in_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("disk", "key", "host.pub", "first", "hosts"):
        (tmp_path / name).touch()
    login = {"key": "key", "host_key": "host.pub"}
    given = plan(disk="disk", ssh=login).to_json()["scenario"]["crashed"]
    assert given["disk"] == f"{tmp_path}/disk"
    assert given["ssh"]["key"] == f"{tmp_path}/key"
    assert given["ssh"]["host_key"] == f"{tmp_path}/host.pub"
    made = plan(system="debian", first_boot="first", files=["hosts => /etc/hosts"]).to_json()
    assert made["scenario"]["crashed"]["first_boot"] == f"{tmp_path}/first"
    assert made["scenario"]["crashed"]["files"] == [f"{tmp_path}/hosts => /etc/hosts"]
    again = Plan.from_json(made, tmp_path / "run.json")
    assert again.scenario.crashed.first_boot == tmp_path / "first"


def test_a_plan_names_the_files_of_a_dump_tool_in_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "ramdisk", "program", "s390-tools"):
        (tmp_path / name).touch()
    told = [
        Plan("one", Scenario.model_validate({"description": "a test", "dump": dump})).to_json()
        for dump in (
            {"tool": "mine.toml", "initramfs": "ramdisk"},
            {"tool": "s390-tools", "program": "program"},  # a name, whatever is in the directory
        )
    ]
    first, second = (each["scenario"]["dump"] for each in told)
    assert (first["tool"], first["initramfs"]) == (f"{tmp_path}/mine.toml", f"{tmp_path}/ramdisk")
    assert (second["tool"], second["program"]) == ("s390-tools", f"{tmp_path}/program")


@pytest.mark.parametrize("word", ["debian", "debian@trixie"])
def test_the_distributions_kernel_is_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
):
    (tmp_path / "debian").mkdir()  # as in the source of a package
    monkeypatch.chdir(tmp_path)
    data = {"description": "a test", "crashed": {"kernel": word}}
    told = Plan("one", Scenario.model_validate(data))
    assert told.to_json()["scenario"]["crashed"]["kernel"] == word
    assert told.paths() == []


def zipl_in_file(choice: str) -> str:
    data = {"description": "a test", "dump": {"zipl": choice}}
    written = Plan("one", Scenario.model_validate(data)).to_json()
    return str(written["scenario"]["dump"]["zipl"])


def test_a_zipl_given_by_path_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sid").mkdir()
    monkeypatch.chdir(tmp_path)
    assert zipl_in_file("./sid") == str(tmp_path / "sid")
    assert zipl_in_file("sid") == "sid"  # the suite
