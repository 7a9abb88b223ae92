"""Every command in the documentation exists, and so do its options."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
import typer

from harness.cli.app import app
from harness.cli.default_command import DefaultCommandGroup

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
LINE = re.compile(r"^(?: {4}|\$ )?(zharness [^\n]*)$", re.MULTILINE)
BLOCK = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)
INDENTED = re.compile(r"^ {4}zharness .*$", re.MULTILINE)


def shown() -> list[str]:
    lines = []
    for document in DOCUMENTS:
        text = document.read_text()
        for block in BLOCK.findall(text):
            lines += LINE.findall(block)
        lines += [line.strip() for line in INDENTED.findall(text)]
    return lines


def test_the_documentation_shows_commands():
    assert len(shown()) >= 10


@pytest.mark.parametrize("line", shown())
def test_a_command_shown_is_valid(line):
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("zharness", list(words), resilient_parsing=True)
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands and isinstance(command, DefaultCommandGroup):
            words.insert(0, command.default)
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    for word in takewhile(lambda word: word != "--", words):  # behind it is another command
        if word.startswith("-"):
            assert word in options, line
    assert context is not None


def test_the_readme_lists_every_document():
    readme = DOCUMENTS[0].read_text()
    for document in DOCUMENTS[1:]:
        assert f"(docs/{document.name})" in readme


def test_relative_links_lead_somewhere():
    for document in (*DOCUMENTS, CONTRIBUTING):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_contributing_names_files_that_exist():
    text = CONTRIBUTING.read_text()
    named = re.findall(r"`((?:harness|tests|images|scenarios|docs)/[\w./-]+)`", text)
    assert len(named) > 10
    for name in named:
        if name != "harness/FOLDER":
            assert (ROOT / name).exists(), name
