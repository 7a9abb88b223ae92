"""The manual page: it has every command, and nothing in it is taken for a request."""

from __future__ import annotations

import re

import pytest
import typer

from harness.cli.app import EXIT_CODES, app
from harness.cli.commands.man import _text, page

REQUESTS = ("TH", "SH", "SS", "PP", "TP", "B")


def lines() -> list[str]:
    return list(page(typer.main.get_command(app), EXIT_CODES))


def test_every_command_and_option_is_there():
    text = "\n".join(lines())
    for words in ("night run", "bisect step", "dump check", "images list", "doctor"):
        assert f'.SS "zharness {words} '.replace("-", r"\-") in text
    for option in ("--bisect HH:MM", "--webhook URL", "--hsa-size SIZE"):
        assert f".B {option}".replace("-", r"\-") in text
    assert "zharness night diff" in text
    assert "Name of the series. [default: night]" in text


def test_a_line_is_one_of_the_requests_or_text():
    for line in lines():
        assert "\n" not in line
        if line.startswith((".", "'")):
            assert line[1:].partition(" ")[0] in REQUESTS
        assert not re.search(r"\\(?![e&-]|\(dq)", line), "a backslash that is none of ours"
        assert "[bold]" not in line


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (".SH x", r"\&.SH x"),
        ("'quoted'", r"\&'quoted'"),
        ("a\n.b", "a .b"),
        ("--x \\n", r"\-\-x \en"),
        ('"', r"\(dq"),
    ],
)
def test_a_text_is_no_request(text, written):
    assert _text(text) == written


def test_a_build_can_be_repeated(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert '"1970-01-02"' in lines()[0]
