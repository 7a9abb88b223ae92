"""The clock comparator is shown as in the CPU, although dumps have it shifted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cli.commands.dump.extract import extract
from harness.s390x.storestatus import cpu_state, status_area, whole_comparator
from harness.verify.checks.registers import COMPARATOR, paired_registers
from tests.support.cpus import make_cpu

VALUE = 0xE012_3456_789A_BC00  # bits 56-63 are not stored


def stored(value: int = VALUE):
    return cpu_state(status_area(replace(make_cpu(1), clock_comparator=value)))


def shown(one, other) -> tuple[str, str]:
    (pair,) = (each for each in paired_registers(one, other) if each.name == COMPARATOR)
    return pair.shown(pair.one), pair.shown(pair.other)


def test_a_stored_comparator_is_whole_again():
    assert stored().clock_comparator == VALUE >> 8
    assert whole_comparator(stored().clock_comparator) == VALUE
    assert whole_comparator(VALUE) == VALUE  # QEMU's own dump has it so
    assert whole_comparator(0) == 0


def test_messages_show_the_whole_comparator():
    assert shown(stored(), stored(VALUE + 0x100)) == ("e0123456789abc00", "e0123456789abd00")


def test_a_difference_in_how_it_is_stored_stays_visible():
    own = replace(stored(), clock_comparator=VALUE)
    assert shown(stored(), own) == ("00e0123456789abc", "e0123456789abc00")


@pytest.mark.parametrize("json", [False, True])
def test_extract_prints_the_whole_comparator(json, capsys):
    class OneCpu:
        name = "x"
        cpus = (stored(),)

    extract(OneCpu(), "cpu", "0", json=json)
    assert "e0123456789abc00" in capsys.readouterr().out
