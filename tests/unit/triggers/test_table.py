"""The tables of triggers hold together, and the documentation names every row."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.scenario.load import load, load_all, scenario_files
from harness.triggers.lkdtm import CRASHES, KINDS, LKDTM, NO_CRASH
from harness.triggers.system_kind import EVERYWHERE, FULL, MINIMAL, SystemKind
from harness.triggers.table import TRIGGERS, require_trigger, trigger_named
from harness.triggers.trigger import Stopped
from tests.support.command_line.documents import documented

SYSTEMS = {MINIMAL: "minimal", FULL: "full", EVERYWHERE: "every"}
DOCUMENT = (Path(__file__).parents[3] / "docs/triggers.md").read_text()


FORMS = list(dict.fromkeys(each.on(kind) for each in TRIGGERS.values() for kind in each.systems))


@pytest.mark.parametrize("trigger", FORMS, ids=lambda trigger: trigger.name)
def test_a_trigger_is_complete(trigger):
    assert re.compile(trigger.console)
    assert bool(trigger.command) is not trigger.in_boot
    assert "\n" not in trigger.command + "".join(trigger.setup)
    assert trigger.console or trigger.log or trigger.restart, "nothing proves it"
    assert trigger.from_disk is (trigger.stopped is Stopped.DUMP_REQUEST)


# a system that is up and does not die
ALIVE = "\r\n".join(
    (
        "[    0.000000] Linux version 6.12.0 (2026) #1 SMP running 10 of 20",
        "[    0.010000] smp: Brought up 1 node, 2 CPUs",
        "zharness: crashed system ready",
        "zharness# zharness: status 0",
        "0-1",
        "zharness# 0-1",
        "zharness# ",
    )
)


@pytest.mark.parametrize("trigger", FORMS, ids=lambda trigger: trigger.name)
def test_a_trigger_is_not_proved_by_a_system_that_lives(trigger):
    for proof in filter(None, (trigger.console, trigger.log)):
        assert not re.search(proof, ALIVE, re.DOTALL)


@pytest.mark.parametrize("name", ["operator", "operator-cpu-stopped", "hung"])
def test_the_proof_of_a_full_system_is_a_line_of_its_own_behind_a_getty(tmp_path, name):
    trigger, console = trigger_named(name).on(SystemKind.FULL), tmp_path / "console"
    command = trigger.command.rpartition("done; ")[2].replace("/dev/console", str(console))
    command = command.replace("cat /sys/devices/system/cpu/online", "echo 0,2-3")
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=60)
    assert re.search(trigger.console, f"zharness login: {console.read_text()}")


@pytest.mark.parametrize("rest", ["", ",2", ",2-63"])
def test_the_stopped_cpu_is_not_online(rest):
    proof = trigger_named("operator-cpu-stopped").console
    # DOTALL: that is how pexpect searches
    assert re.search(proof, f"0{rest}\r\nzharness# ", re.DOTALL)
    assert not re.search(proof, f"0-1{rest}\r\nzharness# ", re.DOTALL)
    assert not re.search(proof, "0", re.DOTALL), "there may be more to come"


def test_every_trigger_has_a_scenario():
    used = {each.scenario.crashed.trigger for name in scenario_files() for each in load_all(name)}
    assert used == set(TRIGGERS)


def test_the_documentation_has_every_trigger():
    others = [trigger for trigger in TRIGGERS.values() if trigger not in LKDTM]
    assert documented(DOCUMENT, "trigger") == [
        (trigger.name, trigger.summary, trigger.stopped.value, SYSTEMS[trigger.systems])
        for trigger in others
    ]


def test_the_documentation_has_every_type_of_lkdtm_that_crashes():
    rows = [(kind.name, kind.ending.summary, kind.mark) for kind in KINDS]
    assert documented(DOCUMENT, "type | how it ends") == rows


def test_the_documentation_has_every_type_of_lkdtm_that_does_not():
    assert documented(DOCUMENT, "type | why") == list(NO_CRASH.items())


def test_every_lkdtm_type_is_in_exactly_one_table():
    assert not CRASHES.keys() & NO_CRASH.keys()
    assert len(LKDTM) == len(CRASHES)
    assert len({trigger.name for trigger in LKDTM}) == len(LKDTM)


def test_unknown_names_are_refused_with_what_is_near():
    with pytest.raises(UsageError) as caught:
        trigger_named("lkdtm-bugs")
    assert caught.value.hint == "did you mean 'lkdtm-bug'?"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[crashed]\ntrigger = 'panic-two-cpus'\nsmp = 1", 4, "needs 2 CPUs"),
        ("[crashed]\nload = 'direct'\ntrigger = 'panic-dump'", 3, "loaded by 'scsi'"),
        ("[crashed]\nworkload = 'lazy'", 3, "no workload 'lazy'"),
        ("[crashed]\ncontent = -1", 3, "crashed.content"),
        ("[expect]\nreipl = true", 3, "needs crashed.load"),
    ],
)
def test_contradictions_name_file_line_and_field(tmp_path, text, line, what):
    path = tmp_path / "x.toml"
    path.write_text(f"description = 'x'\n{text}\n")
    with pytest.raises(UsageError) as caught:
        load(str(path))
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert what in caught.value.message


STALL_OF_RCU = """\
lkdtm: Performing direct entry {first}
lkdtm: Performing direct entry {last}
rcu: INFO: rcu_sched {noticed}
Kernel panic - not syncing: RCU Stall
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])  # as in a log, and as on a console
@pytest.mark.parametrize("noticed", ["self-detected stall on CPU", "detected stalls on CPUs/tasks"])
@pytest.mark.parametrize(
    ("first", "last", "ours"),
    [("LOOP", "SMP_CALL_LOCKUP", True), ("SMP_CALL_LOCKUP", "LOOP", False)],
)
def test_a_stall_is_that_of_the_last_type_whichever_cpu_notices(noticed, first, last, ours, end):
    console = STALL_OF_RCU.format(first=first, last=last, noticed=noticed)
    trigger = trigger_named("lkdtm-smp-call-lockup")
    assert bool(re.search(trigger.console, console.replace("\n", end))) is ours


def test_an_unnoticed_stall_is_not_a_proof():
    console = STALL_OF_RCU.format(first="LOOP", last="LOOP", noticed="")
    assert not re.search(trigger_named("lkdtm-loop").console, console)


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=lambda trigger: trigger.name)
def test_both_forms_of_a_trigger_end_alike(trigger):
    minimal, full = trigger.on(SystemKind.MINIMAL), trigger.on(SystemKind.FULL)
    same = ("name", "summary", "stopped", "cpus", "restart", "in_boot", "systems", "parmline")
    for name in same:
        assert getattr(minimal, name) == getattr(full, name), name


def test_what_is_done_on_a_full_system_identifies_the_crash_there():
    halt = trigger_named("halt")
    assert halt.on(SystemKind.MINIMAL) is halt
    assert halt.on(SystemKind.FULL).command == "systemctl halt"
    assert "systemctl" not in repr(halt), "or stored crashes of the minimal system get new names"


def test_a_trigger_that_does_not_work_names_those_that_do():
    require_trigger(trigger_named("sysrq-c"), SystemKind.FULL)
    with pytest.raises(ValueError, match="init-killed does not work on a full system") as caught:
        require_trigger(trigger_named("init-killed"), SystemKind.FULL)
    assert "there are: sysrq-c, out-of-memory," in str(caught.value)
    assert "lkdtm" not in str(caught.value)
    with pytest.raises(ValueError, match="hung does not work on a minimal system"):
        require_trigger(trigger_named("hung"), SystemKind.MINIMAL)


@pytest.mark.parametrize(
    "name", ["configured-panic", "configured-panic-reipl", "configured-restart"]
)
def test_a_configured_system_is_told_all_about_the_dump_disk(name):
    trigger = trigger_named(name)
    (told,) = [each for each in trigger.setup if "printf" in each]
    words = ("device", "wwpn", "lun", "bootprog", "br_lba", "on_panic", "on_restart")
    assert [word for word in words if f" {word}=" in told] == list(words)
    for file in trigger.files:
        assert (data_dir() / "images" / file.source).is_file()
