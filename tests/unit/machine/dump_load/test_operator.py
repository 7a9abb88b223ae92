"""The operator at the dump system's console: what is typed when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.machine.dump_load.operator import MOST, Operator, Reply
from harness.qemu.console_log import LINE_LIMIT

QUESTION = "tool: Delete /dump.1? (y/n) "


def operator(ask: str = "Delete", say: str = "yes") -> Operator:
    return Operator([Reply(ask, say)])


@pytest.mark.parametrize("size", [1, 3, len(QUESTION)])
def test_a_question_is_answered_once_however_its_text_comes(size: int):
    one = operator(r"Delete .*\?")
    pieces = [QUESTION[at : at + size] for at in range(0, len(QUESTION), size)]
    assert "".join(map(one.hear, pieces)) == "yes\n"
    assert one.hear("yes\r\nDeleted\r\n") == ""
    assert [say for _, say in one.typed] == ["yes"]


def test_a_question_that_comes_again_is_answered_again():
    one = operator()
    assert one.hear(QUESTION) + one.hear("yes\n") + one.hear(QUESTION) == "yes\nyes\n"


def test_the_first_reply_that_matches_counts():
    one = Operator([Reply("dump.2", "n"), Reply("Delete", "y"), Reply("dump", "x")])
    assert one.hear(QUESTION) == "y\n"


def test_nothing_is_typed_without_a_question():
    assert operator().hear("tool: 5 MB available\r\n\r\nall written\r\n") == ""
    assert Operator([]).hear(QUESTION) == ""


def test_a_question_in_two_lines_is_none():
    assert operator("Delete the").hear("Delete\nthe dump?") == ""


def test_a_tool_that_asks_without_end_is_not_answered_without_end():
    one = operator()
    assert one.hear(f"{QUESTION}\n" * (2 * MOST)) == "yes\n" * MOST


@given(st.lists(st.text(max_size=2 * LINE_LIMIT), max_size=5))
def test_no_text_is_remembered_without_end(pieces: list[str]):
    one = operator("never asked")
    for piece in pieces:
        assert one.hear(piece) == ""
    assert len(one._line) <= LINE_LIMIT
