"""What a full system tells of itself: how it is, and its own dump."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.condition import Condition
from harness.evidence.own_dump import OwnDump
from harness.files.json_text import to_text

BOOT, EARLIER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
REPORT = f"""\
count 2
boot {BOOT}
journal {EARLIER}
journal {BOOT}
state degraded
failed zipl.service
failed a@b.service
action on_panic dump_reipl
root rw,relatime,errors=remount-ro
kernel EXT4-fs (sda1): recovery complete
"""
COPIED = "found /dev/sdb\nversion zgetdump: version 2.16.0\nformat s390\nsize 1048576\n"

lines = st.lists(
    st.one_of(
        st.sampled_from([*REPORT.splitlines(), *COPIED.splitlines()]),
        st.text(max_size=40),
        st.tuples(
            st.sampled_from(["boot", "journal", "state", "count", "size", "error", "found"]),
            st.text(max_size=40),
        ).map(" ".join),
    ),
    max_size=20,
)


def test_a_condition_is_read():
    assert Condition.parse(REPORT) == Condition(
        boot=BOOT,
        journal=(EARLIER, BOOT),
        state="degraded",
        failed=("zipl.service", "a@b.service"),
        actions=("on_panic dump_reipl",),
        root="rw,relatime,errors=remount-ro",
        kernel=("EXT4-fs (sda1): recovery complete",),
        count=2,
    )


def test_a_system_without_systemd_and_journal_has_a_condition():
    assert Condition.parse(f"boot {BOOT}\ncount 1\nstate \nroot \n").state == "unknown"


@pytest.mark.parametrize("lacking", ["boot ", "count "])
def test_boot_and_count_are_needed(lacking):
    with pytest.raises(ValueError, match=lacking.strip()):
        Condition.parse("\n".join(x for x in REPORT.splitlines() if not x.startswith(lacking)))


@pytest.mark.parametrize("size", ["", "size x\n", "size 123456789012345678901\n"])
def test_a_copy_without_a_size_is_none(size):
    own = OwnDump.parse("found /dev/sdb\n" + size)
    assert (own.size, own.error) == (None, "its report ends before its end")


def test_the_system_says_why_there_is_no_copy():
    own = OwnDump.parse("error zgetdump finds no dump on any disk\n")
    assert (own.size, own.error) == (None, "zgetdump finds no dump on any disk")


def test_a_copy_that_did_not_come_out_whole_is_none():
    own = OwnDump.parse(COPIED + "error the copy does not fit on /dev/sdc\n")
    assert (own.size, own.error) == (None, "the copy does not fit on /dev/sdc")


def test_a_copy_is_read():
    own = OwnDump.parse(COPIED)
    assert (own.found, own.format, own.size, own.error) == ("/dev/sdb", "s390", 1 << 20, "")


@given(lines)
def test_any_report_is_read_or_refused(report):
    for model in (Condition, OwnDump):
        try:
            told = model.parse("\n".join(report))
        except ValueError:
            continue
        again = json.loads(to_text(told.model_dump()))
        assert model.model_validate(again) == told
