"""Names, paths, directories and patterns of scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.host.paths import data_dir
from harness.scenario import load as loading
from harness.scenario.select import select, word_for

PLAIN = "description = 'x'\n"
MATRIX = "description = 'x'\n[matrix]\nsmp = [1, 2]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with scenarios in it, and others that come with the harness."""
    files = {
        "mine/a.toml": PLAIN,
        "mine/deep/er/b.toml": MATRIX,
        "mine/README.md": "",
        "what[?]/c.toml": PLAIN,
        "what[?]/m.toml": MATRIX,
        "data/scenarios/lkdtm-bug.toml": PLAIN,
        "data/scenarios/lkdtm-cell.toml": MATRIX,
        "data/scenarios/panic.toml": PLAIN,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    for module in ("harness.scenario.load", "harness.scenario.select"):
        monkeypatch.setattr(f"{module}.data_dir", lambda: tmp_path / "data")
    return tmp_path


def names(*words: str, **crashed: int) -> list[str]:
    return [concrete.name for concrete in select(words, {"crashed": crashed})]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["panic"], ["panic"]),
        (["panic", "mine/a.toml", "panic"], ["panic", "a"]),
        (["data/scenarios/panic.toml", "panic"], ["panic"]),
        (["lkdtm-cell"], ["lkdtm-cell[smp=1]", "lkdtm-cell[smp=2]"]),
        (["lkdtm-cell[smp=2]", "lkdtm-cell"], ["lkdtm-cell[smp=2]", "lkdtm-cell[smp=1]"]),
        (["mine/deep/er/b.toml[smp=2]"], ["b[smp=2]"]),
        (["lkdtm-*"], ["lkdtm-bug", "lkdtm-cell[smp=1]", "lkdtm-cell[smp=2]"]),
        (["*[smp=2]"], ["lkdtm-cell[smp=2]"]),
        (["*-bu?"], ["lkdtm-bug"]),
        (["mine/**"], ["a", "b[smp=1]", "b[smp=2]"]),
        (["mine/*"], ["a", "b[smp=1]", "b[smp=2]"]),  # as if the shell had done it
        (["mine/a.toml", "mine/deep"], ["a", "b[smp=1]", "b[smp=2]"]),
        (["mine/*.toml"], ["a"]),
        (["mine"], ["a", "b[smp=1]", "b[smp=2]"]),
        (["mine/"], ["a", "b[smp=1]", "b[smp=2]"]),
        (["mine/deep/*/b.toml"], ["b[smp=1]", "b[smp=2]"]),
        (["scenarios/panic.toml"], ["panic"]),
        (["scenarios/lkdtm-cell.toml[smp=2]"], ["lkdtm-cell[smp=2]"]),
        (["scenarios/"], ["lkdtm-bug", "lkdtm-cell[smp=1]", "lkdtm-cell[smp=2]", "panic"]),
        (["what[?]/c.toml"], ["c"]),
        (["what[?]/m.toml[smp=2]"], ["m[smp=2]"]),
    ],
)
def test_words_select_scenarios(here: Path, words: list[str], expected: list[str]):
    assert names(*words) == expected


def test_a_path_pattern_that_matches_nothing_here_is_the_harnesss(here: Path):
    assert names("scenarios/lkdtm-*.toml") == names("lkdtm-*")
    assert names("scenarios/") == names("*")
    (here / "scenarios").mkdir()
    (here / "scenarios/own.toml").write_text(PLAIN)
    assert names("scenarios/**") == ["own"]


def test_an_absolute_pattern(here: Path):
    assert names(f"{here}/mine/**") == names("mine/**")


def test_a_directory_does_not_hide_the_scenario_of_its_name(here: Path):
    (here / "panic").mkdir()
    assert names("panic") == ["panic"]
    with pytest.raises(UsageError):
        select(["panic/"])


def test_overrides_reach_every_scenario(here: Path):
    assert names("lkdtm-*", smp=4) == ["lkdtm-bug", "lkdtm-cell"]
    assert {each.scenario.crashed.smp for each in select(["mine"], {"crashed": {"smp": 4}})} == {4}


@pytest.mark.parametrize("word", ["nosuch*", "nosuch/**", "mine/*.md", "empty", "[smp=?]"])
def test_an_unknown_word_is_refused_by_name(here: Path, word: str):
    (here / "empty").mkdir()
    with pytest.raises(UsageError, match="no scenario matches") as caught:
        select(["panic", word])
    assert f"'{word}'" in caught.value.message


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("mine/README.md", "mine/README.md is no scenario: its name does not end in .toml"),
        ("mine/none.toml", "mine/none.toml: No such file"),
        ("mine/none", "no scenario 'mine/none'"),
        ("", "no scenario ''"),
        ("mine/*.toml[smp=2]", "no scenario matches"),
    ],
)
def test_a_wrong_word_is_explained(here: Path, word: str, what: str):
    with pytest.raises(UsageError) as caught:
        select(["panic", word])
    assert what in caught.value.message


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("lkdtm-cell[smp=2]", "lkdtm-cell[smp=2]"),
        ("data/scenarios/panic.toml", "panic"),
        ("mine/a.toml", "{here}/mine/a.toml"),
        ("mine/deep/er/b.toml[smp=2]", "{here}/mine/deep/er/b.toml[smp=2]"),
    ],
)
def test_a_word_for_one_scenario_means_it_anywhere(here, monkeypatch, word, expected):
    (concrete,) = select([word])
    again = word_for(concrete)
    assert again == expected.format(here=here)
    monkeypatch.chdir("/")
    (found,) = select([again])
    assert (found.name, found.scenario) == (concrete.name, concrete.scenario)


def test_files_of_one_name_are_different_scenarios(here: Path):
    (here / "mine/deep/a.toml").write_text(PLAIN)
    assert names("mine/a.toml", "mine/deep/a.toml") == ["a", "a"]


def test_all_scenarios_that_come_with_the_harness():
    everything = select(["*"])
    assert {each.path.stem for each in everything} == set(loading.scenario_files())
    assert select([f"{data_dir()}/scenarios/**"]) == everything
