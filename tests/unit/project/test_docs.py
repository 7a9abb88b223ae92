"""Every command in the documentation exists, and so do its options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.command_line.documents import require_valid

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
    require_valid(shlex.split(line, comments=True)[1:])


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
