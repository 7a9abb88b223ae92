"""docs/original.md: what it names exists, and every statement has something that proves it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCENARIOS = {path.stem for path in (ROOT / "scenarios").rglob("*.toml")}
QUOTED = re.compile(r"`([^`]+)`")
PATH = re.compile(r"(?:harness|images|tests|scenarios|docs)/[\w./-]+")
NAME = re.compile(r"[a-z][a-z0-9-]*")


def rows(text: str) -> list[list[str]]:
    """The cells of each row that begins with a number."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in lines if cells[0].strip().isdecimal()]


ROWS = rows((ROOT / "docs" / "original.md").read_text())


def lacking(cells: list[str]) -> list[str]:
    """What is named and does not exist; and the proof, if there is none."""
    *_, where, proof = cells
    names = [name for name in QUOTED.findall(proof) if NAME.fullmatch(name)]
    paths = [name for name in QUOTED.findall(f"{where} {proof}") if PATH.fullmatch(name)]
    tests = [path for path in QUOTED.findall(proof) if path.startswith("tests/")]
    lost = [name for name in names if name not in SCENARIOS]
    lost += [path for path in paths if not (ROOT / path).exists()]
    return lost + ([] if names or tests else ["proof"])


def test_the_rows_are_counted():
    numbers = [int(cells[0]) for cells in ROWS]
    first = numbers.index(1, 1)
    assert numbers == [*range(1, first + 1), *range(1, len(numbers) - first + 1)]
    assert first == 32


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0])
def test_what_a_row_names_exists(cells: list[str]):
    assert lacking(cells) == []


@pytest.mark.parametrize(
    ("where", "proof", "lost"),
    [
        ("`harness/run`", "`no-such-scenario`", ["no-such-scenario"]),
        ("`harness/no_such.py`", "`quick`", ["harness/no_such.py"]),
        ("`harness/run`", "`tests/no_such.py`", ["tests/no_such.py"]),
        ("`harness/run`", "nothing", ["proof"]),
        ("`harness/run`, `CONFIG_X`", "`quick` with `--judges`", []),
    ],
)
def test_what_does_not_exist_is_noticed(where: str, proof: str, lost: list[str]):
    assert lacking(["1", "it is said", where, proof]) == lost


def test_the_ramdisk_has_what_the_original_list_has():
    lists = [ROOT / "images" / "dump" / name for name in ("zfcpdump.list", "e2fsck.list")]
    lines = [line.split() for path in lists for line in path.read_text().splitlines()]
    nodes = {words[1]: words[-3:] for words in lines if words[:1] == ["nod"]}
    others = {tuple(words[:2]) for words in lines if words}
    assert nodes["/dev/console"] == ["c", "5", "1"]
    assert nodes["/dev/null"] == ["c", "1", "3"]
    for number in range(1, 16):
        assert nodes[f"/dev/sda{number}"] == ["b", "8", str(number)]
    assert {("file", "/init"), ("file", "/sbin/e2fsck")} < others
    assert {("dir", name) for name in ("/dev", "/proc", "/sys", "/mnt", "/sbin")} < others
