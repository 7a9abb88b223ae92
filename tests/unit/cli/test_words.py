"""Messages that were wrong before: plurals of one, and incomplete help."""

from __future__ import annotations

import pytest

from harness.cli.show.dump_info import show_info
from harness.cli.show.lab import show_differences
from harness.cli.show.verdict import counted
from tests.support.command_line.zharness import zharness

INFO = {
    "file": "x",
    "format": "elf",
    "container": None,
    "complete": True,
    "incomplete": None,
    "size": 1,
    "length": 1,
    "memory": 512 << 20,
    "limited": None,
    "left_out": 0,
    "early": None,
    "memory_map": [[0, 512 << 20]],
    "cpus": None,
    "release": None,
    "build_id": None,
    "uts": None,
    "panic": None,
    "log": None,
    "times": {},
    "facts": {},
    "container_facts": {},
    "unreadable": [],
}


@pytest.mark.parametrize(("number", "said"), [(0, "0 pieces"), (1, "1 piece"), (2, "2 pieces")])
def test_one_is_singular(number, said, capsys):
    assert counted(number, "piece") == said
    show_info({**INFO, "pieces": number})
    assert f"512M in {said}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([], ""),
        (["a"], "1 other option differs; no dump rule covers it\n"),
        (["a", "b"], "2 other options differ; no dump rule covers them\n"),
    ],
)
def test_other_options_are_counted(others, said, capsys):
    show_differences([], others)
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("images", "show"), "List the files in an initramfs instead."),
        (("kernel", "import"), "--vmlinux <path> The image's vmlinux."),
        (("dump", "judge"), "2 none of them knows this kind of dump"),
    ],
)
def test_a_help_says_what_it_left_out(arguments, words):
    done = zharness(*arguments, "--help", COLUMNS="200")
    assert words in " ".join(done.stdout.split())
