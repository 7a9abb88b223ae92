"""The fidelity statement claims what a run had, and no more."""

from __future__ import annotations

import pytest

from harness.run.fidelity import FROZEN, FUNCTIONS, NETWORK, Provider, statement
from harness.scenario.crashed import Load
from harness.triggers.table import TRIGGERS
from harness.triggers.trigger import Stopped

OPERATOR = "the operator's stop of all CPUs"
RESTART = "the operator's PSW restart"
STOPPING = "stopping the crashed system"
REIPL = "DIAGNOSE X'308': the re-IPL itself"
LOADING = "loading the crashed system"


def said(load: Load, trigger: str) -> dict[str, dict[str, str]]:
    told = statement(load, TRIGGERS[trigger])
    by_function = {each["function"]: each for each in told}
    assert len(by_function) == len(told), "nothing is claimed twice"
    return by_function


def of_kind(stopped: Stopped, *, restart: bool = False) -> list[str]:
    found = [
        name
        for name, trigger in TRIGGERS.items()
        if trigger.stopped is stopped and trigger.restart is restart
    ]
    assert found
    return found


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("load", Load)
def test_every_statement_has_what_every_run_needs(load, trigger):
    told = said(load, trigger)
    for function in FUNCTIONS:
        assert told[function.function] == function.to_json()
    assert {each["provider"] for each in told.values()} <= {str(each) for each in Provider}
    assert all(each["detail"] for each in told.values())


def test_a_system_without_a_disk_is_not_said_to_be_loaded_again():
    told = said(Load.DIRECT, "sysrq-c")
    assert told[REIPL]["provider"] == Provider.ABSENT
    assert told[LOADING]["provider"] == Provider.QEMU
    assert not any("list-directed dump" in function for function in told)


def test_a_system_with_a_disk_is_played():
    told = said(Load.SCSI, "sysrq-c")
    assert told[REIPL]["provider"] == Provider.HARNESS
    assert LOADING not in told
    assert told[f"{LOADING} from its SCSI disk"]["provider"] == Provider.QEMU
    assert any("list-directed dump" in function for function in told)


@pytest.mark.parametrize("trigger", of_kind(Stopped.DISABLED_WAIT))
def test_a_disabled_wait_is_qemus(trigger):
    told = said(Load.DIRECT, trigger)
    assert (told[STOPPING]["provider"], told[STOPPING]["detail"]) == (
        Provider.QEMU,
        "disabled wait",
    )
    assert OPERATOR not in told
    assert RESTART not in told


@pytest.mark.parametrize("trigger", of_kind(Stopped.BY_OPERATOR))
def test_the_operator_is_the_harness(trigger):
    told = said(Load.DIRECT, trigger)
    assert told[OPERATOR]["provider"] == Provider.HARNESS
    assert STOPPING not in told


@pytest.mark.parametrize("trigger", of_kind(Stopped.DUMP_REQUEST))
def test_a_system_that_asks_for_its_dump_is_stopped_by_nobody(trigger):
    told = said(Load.SCSI, trigger)
    assert STOPPING not in told
    assert OPERATOR not in told


@pytest.mark.parametrize("trigger", [name for name, each in TRIGGERS.items() if each.restart])
def test_a_psw_restart_is_named(trigger):
    assert said(Load.SCSI, trigger)[RESTART]["provider"] == Provider.QEMU


def test_only_a_full_system_is_said_to_have_a_network():
    plain = statement(Load.DIRECT, TRIGGERS["sysrq-c"])
    full = statement(Load.DIRECT, TRIGGERS["sysrq-c"], full=True)
    assert NETWORK.to_json() in full
    assert [each for each in full if each not in plain] == [NETWORK.to_json()]


def test_a_run_that_starts_from_a_frozen_system_says_so():
    plain = statement(Load.DIRECT, TRIGGERS["sysrq-c"])
    frozen = statement(Load.DIRECT, TRIGGERS["sysrq-c"], frozen=True)
    assert [each for each in frozen if each not in plain] == [FROZEN.to_json()]
