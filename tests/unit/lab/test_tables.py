"""Tables in Markdown: what they look like, and that no cell breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import __version__
from harness.cli.show.lab import show_check_markdown, show_pairs_markdown
from harness.cli.show.markdown import show_table
from harness.images.kernel.build import Kernel
from harness.lab.check import Checked
from harness.lab.comparison import Pair
from harness.lab.given import Given
from harness.lab.trial import Trial
from harness.report.verdict import Result
from harness.s390x.disk_layout import DiskLayout


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", r"a\\nb"),
        ("a\\|b", r"a\\\|b"),
        ("\x1b[31m", r"\\x1b[31m"),
        ("<img>", r"\<img>"),
        ("`a` *b*", r"\`a\` \*b\*"),
        ("‮txt", r"\\u202etxt"),
    ],
)
def test_a_cell_stays_one_cell_of_plain_text(
    cell: str, shown: str, capsys: pytest.CaptureFixture[str]
):
    show_table(("what", cell), [(cell, "x")])
    assert capsys.readouterr().out == (f"| what | {shown} |\n| --- | --- |\n| {shown} | x |\n")


def kernel(name: str, digit: str) -> Kernel:
    return Kernel(Path(name), "6.12.117", digit * 64, name)


def trial(name: str, size: int, *, why: str | None = None) -> Trial:
    result = Result.FAIL if why else Result.PASS
    memory, rate = (None, None) if why else (7.25, 136.1)
    return Trial(name, size << 20, result, why, memory, rate, {"boot": 0.7, "dump": 5.25}, (), "")


def test_two_kernels_side_by_side(capsys: pytest.CaptureFixture[str]):
    pairs = [
        Pair(trial("old", 32), trial("new", 32, why="no dump:\nthe console | says why")),
        Pair(trial("old", 64), trial("new", 64)),
    ]
    show_pairs_markdown(("old", "new"), (kernel("old", "a"), kernel("new", "b")), pairs)
    assert (
        capsys.readouterr().out
        == rf"""| kernel | old | new |
| --- | --- | --- |
| zharness | {__version__} | {__version__} |
| Linux | 6.12.117 | 6.12.117 |
| SHA-256 | {"a" * 64} | {"b" * 64} |
| HSA 32M: verdict | PASS | FAIL |
| HSA 32M: left for the tool | 7.2 MB | - |
| HSA 32M: rate | 136.1 MB/s | - |
| HSA 32M: dump | 5.2 s | 5.2 s |
| HSA 32M: why |  | no dump:\\nthe console \| says why |
| HSA 64M: verdict | PASS | PASS |
| HSA 64M: left for the tool | 7.2 MB | 7.2 MB |
| HSA 64M: rate | 136.1 MB/s | 136.1 MB/s |
| HSA 64M: dump | 5.2 s | 5.2 s |
"""
    )


def test_measures_of_a_configuration(capsys: pytest.CaptureFixture[str]):
    subject = Given("bzImage", "c" * 64, {}, None)
    checked = Checked(None, DiskLayout.EXT4, {}, {})
    show_check_markdown(subject, checked, [trial("k", 32), trial("k", 64, why="no dump")])
    assert (
        capsys.readouterr().out
        == f"""| configuration | bzImage |
| --- | --- |
| zharness | {__version__} |
| Linux | unknown |
| SHA-256 | {"c" * 64} |
| disk layout | ext4 |
| HSA 32M | PASS, 7.2 MB left for the tool, 136.1 MB/s |
| HSA 64M | FAIL, no dump |
"""
    )
