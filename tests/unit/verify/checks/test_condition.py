"""A full system after its re-IPL, compared with how it was before the crash."""

from __future__ import annotations

import pytest

from harness.evidence.condition import Condition
from harness.verify.checks import reipl
from harness.verify.checks.condition import differences
from tests.support.checked import checked, said
from tests.support.evidence import SyntheticRun

FIRST, BOOT, LATER = "1" * 32, "2" * 32, "3" * 32
BEFORE = Condition(boot=BOOT, journal=(FIRST, BOOT), state="running", root="rw,noatime", count=7)
AFTER = Condition(
    boot=LATER,
    journal=(FIRST, BOOT, LATER),
    state="running",
    root="rw,noatime",
    kernel=(
        "EXT4-fs (sda1): recovery complete",
        "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro. Quota mode: none.",
    ),
    count=8,
)


def after(**changes) -> Condition:
    return AFTER.model_copy(update=changes)


def before(**changes) -> Condition:
    return BEFORE.model_copy(update=changes)


def test_a_system_that_is_up_again():
    assert list(differences(BEFORE, AFTER)) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (after(boot=BOOT, journal=(FIRST, BOOT)), "was not loaded again"),
        (after(journal=(FIRST, LATER)), f"does not say that boot {BOOT} came before {LATER}"),
        (after(journal=()), "the last that it knows are none"),
        (after(count=7), "went from 7 to 7"),
        (after(count=1), "went from 7 to 1"),
        (after(state="degraded"), "systemd says that the system is degraded"),
        (after(state="maintenance"), "is maintenance; before the crash it was running"),
        (after(failed=("dbus.service",)), "unit dbus.service has failed"),
        (after(root="ro,noatime"), "cannot be written to"),
        (after(root=""), "its options are unknown"),
        (after(kernel=("EXT4-fs error (device sda1): x",)), "EXT4-fs error (device sda1)"),
        (after(kernel=("XFS (sda1): Metadata corruption detected",)), "corruption"),
    ],
)
def test_what_is_wrong_is_said(changed, words):
    found = list(differences(BEFORE, changed))
    assert any(words in message for message in found), found


def test_what_was_so_before_is_no_fault():
    was = before(state="degraded", failed=("dbus.service",), journal=(), root="ro")
    now = after(state="degraded", failed=("dbus.service",), journal=(), root="ro")
    assert list(differences(was, now)) == []


DUMP, STOP = ("on_panic dump_reipl",), ("on_panic stop",)


def test_a_configuration_survives_the_boot():
    was, now = before(actions=DUMP), after(actions=DUMP)
    assert list(differences(was, now, configured=True)) == []
    (message,) = differences(was, after(actions=STOP), configured=True)
    assert message == (
        "the shutdown actions were on_panic dump_reipl; after the boot they are on_panic stop"
    )


def test_what_was_set_by_hand_need_not():
    assert list(differences(before(actions=DUMP), after(actions=STOP))) == []


@pytest.mark.parametrize(("one", "other"), [(None, AFTER), (BEFORE, None)])
def test_a_system_that_did_not_tell(one, other):
    (message,) = differences(one, other)
    assert "did not tell how it was" in message


def result_of(tmp_path, condition: Condition, trigger: str = "panic-dump-reipl"):
    run = SyntheticRun(
        expect={"reipl": True},
        outcome={"reipl_block": "00"},
        machine={"condition": BEFORE.model_dump(), "trigger": trigger, "system": "full"},
        reipl={"named": "x", "loaded": True, "condition": condition.model_dump()},
        reipl_console=(),
    )
    return checked(reipl.check, run.write(tmp_path / "run"))


def test_the_check_needs_no_counter_of_a_full_system(tmp_path):
    assert result_of(tmp_path, AFTER).passed


@pytest.mark.parametrize(
    ("trigger", "passed"), [("panic-dump-reipl", True), ("configured-panic-reipl", False)]
)
def test_the_trigger_says_whether_the_actions_are_configured(tmp_path, trigger, passed):
    assert result_of(tmp_path, after(actions=STOP), trigger).passed is passed


def test_the_check_is_red_for_each_difference(tmp_path):
    result = result_of(tmp_path, after(count=7, state="degraded"))
    assert [str(finding.kind) for finding in result.findings] == ["reipl-condition"] * 2
    assert "went from 7 to 7" in said(result)
