"""Foreign text never moves the cursor, changes a colour or hides in a line."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.printable import LINE_END, TAB, printable, printable_lines

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# all code points, lone surrogates included
anything = st.text(st.characters(codec=None) | st.characters(categories=sorted(UNSAFE - {"Cn"})))


def unsafe(text: str) -> set[str]:
    return {each for each in text if unicodedata.category(each) in UNSAFE}


@given(anything)
@example("\x1b[31mred\x9b0m")
def test_one_line_has_nothing_but_visible_characters(text):
    assert unsafe(printable(text)) == set()
    assert len(printable(text).splitlines()) <= 1


@given(anything)
def test_lines_keep_line_ends_and_tabs_and_nothing_else(text):
    shown = printable_lines(text)
    assert unsafe(shown) <= {LINE_END, TAB}
    assert shown.count(LINE_END) == text.count(LINE_END)


@given(anything)
def test_a_second_time_changes_nothing(text):
    assert printable(printable(text)) == printable(text)
    assert printable_lines(printable_lines(text)) == printable_lines(text)


@given(anything)
def test_it_can_be_written_in_utf_8(text):
    printable_lines(text).encode()


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + string.punctuation + " ")))
def test_printable_ascii_stays_as_it_is(text):
    assert printable(text) == printable_lines(text) == text


@given(anything, st.integers(0, 200))
@example("\x1b" * 10, 8)
@example("12345", 5)
def test_a_limit_holds_for_the_result(text, limit):
    shown = printable(text, limit=limit)
    assert len(shown) <= limit
    whole = printable(text)
    assert shown == whole if len(whole) <= limit else shown.endswith("..."[:limit])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x7f\x80\x9b", r"\x7f\x80\x9b"),
        ("\u202eexe.txt", r"\u202eexe.txt"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u2028\u2029\ufeff\U000e0001", r"\u2028\u2029\ufeff\U000e0001"),
        ("\udc9b", r"\udc9b"),  # a byte of a file name that is no UTF-8
        ("Grüße, 世界, 🐧", "Grüße, 世界, 🐧"),
    ],
)
def test_it_shows_what_was_there(text, shown):
    assert printable(text) == shown
