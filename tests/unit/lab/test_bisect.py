"""git bisect, on a repository in which a file has the answer for each commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import EvidenceError, ProtocolError, UsageError
from harness.lab.bisect import STATE, Answer, Memory, Repository, Result, Step, bisect
from tests.support.git import git, history

COMMITS = 20
QUESTION = {"finding": None, "repeat": 1}


class Trying:
    """Reads the answer in a commit's file; remembers which commits it was asked about."""

    def __init__(self, root: Path, kill_at: int | None = None) -> None:
        self.root, self.kill_at = root, kill_at
        self.asked: list[str] = []

    def try_commit(self, name: str) -> Step:
        if len(self.asked) == self.kill_at:
            raise KeyboardInterrupt
        self.asked.append(name)
        what = git(self.root, "show", f"{name}:what")
        return Step(name, name[:4], Answer[what.upper()], "pages: wrong", 1.0)


def found(root: Path, place: Path, commits: list[str], tester: Trying) -> Result:
    memory = Memory.open(place, QUESTION)
    return bisect(Repository(root), commits[0], commits[-1], memory, tester.try_commit)


@pytest.mark.parametrize("first_bad", [1, 7, 13, COMMITS - 1])
def test_the_first_bad_commit_is_found(tmp_path: Path, first_bad: int):
    root = tmp_path / "linux"
    commits = history(root, ["good"] * first_bad + ["bad"] * (COMMITS - first_bad))
    tester = Trying(root)
    result = found(root, tmp_path / "state", commits, tester)
    assert result.first_bad == (commits[first_bad],)
    assert len(tester.asked) <= 2 + 5


def test_commits_that_cannot_be_tried_are_passed_over(tmp_path: Path):
    root = tmp_path / "linux"
    answers = ["good"] * 8 + ["skip"] * 3 + ["bad"] * 9
    commits = history(root, answers)
    result = found(root, tmp_path / "state", commits, Trying(root))
    assert set(result.first_bad) == set(commits[8:12])


def test_an_interrupted_one_goes_on(tmp_path: Path):
    root, place = tmp_path / "linux", tmp_path / "state"
    commits = history(root, ["good"] * 13 + ["bad"] * 7)
    killed, again = Trying(root, kill_at=4), Trying(root)
    with pytest.raises(KeyboardInterrupt):
        found(root, place, commits, killed)
    assert found(root, place, commits, again).first_bad == (commits[13],)
    assert not set(killed.asked) & set(again.asked)


def test_work_tree_branches_and_a_bisection_of_the_user_stay(tmp_path: Path):
    root = tmp_path / "linux"
    commits = history(root, ["good"] * 3 + ["bad"] * 3)
    git(root, "bisect", "start", commits[-1], commits[0])
    (root / "what").write_text("changed by hand")
    before = [git(root, *words) for words in (["status", "--short"], ["bisect", "log"])]
    found(root, tmp_path / "state", commits, Trying(root))
    assert [git(root, *words) for words in (["status", "--short"], ["bisect", "log"])] == before
    assert git(root, "worktree", "list").count("\n") == 0


def test_a_relative_place_is_where_the_user_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "linux"
    commits = history(root, ["good"] * 3 + ["bad"] * 3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found(root, Path("state"), commits, Trying(root)).first_bad == (commits[3],)
    assert (tmp_path / "elsewhere/state" / STATE).exists()
    assert git(root, "status", "--short") == ""


def test_a_work_tree_that_is_away_stays_known(tmp_path: Path):
    root, disk = tmp_path / "linux", tmp_path / "disk"
    commits = history(root, ["good"] * 3 + ["bad"] * 3)
    git(root, "worktree", "add", "-q", "--detach", str(disk))
    disk.rename(tmp_path / "unmounted")
    found(root, tmp_path / "state", commits, Trying(root))
    (tmp_path / "unmounted").rename(disk)
    assert git(disk, "rev-parse", "HEAD").strip() == commits[-1]


@pytest.mark.parametrize("words", ["first bad commit", "first 'bad' commit"])
def test_the_answer_of_git_is_read_with_and_without_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
):
    ask = Repository.bisect

    def bisect_said(self: Repository, *arguments: str) -> str:
        return ask(self, *arguments).replace("first bad commit", words)

    monkeypatch.setattr(Repository, "bisect", bisect_said)
    root = tmp_path / "linux"
    commits = history(root, ["good"] * 3 + ["bad"] * 3)
    assert found(root, tmp_path / "state", commits, Trying(root)).first_bad == (commits[3],)


def test_a_git_that_asks_forever_is_not_answered_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ask = Repository.bisect
    result = re.compile(r"'?bad'? commit")
    said = {"bisect": lambda self, *words: result.sub("culprit", ask(self, *words))}
    monkeypatch.setattr(Repository, "bisect", said["bisect"])
    root = tmp_path / "linux"
    commits = history(root, ["good"] * 3 + ["bad"] * 3)
    with pytest.raises(ProtocolError, match=r"git bisect asks for [0-9a-f]+ again"):
        found(root, tmp_path / "state", commits, Trying(root))


def test_a_file_instead_of_a_directory_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="File exists"):
        Memory.open(tmp_path / "file", QUESTION)


def test_an_error_is_not_an_answer_for_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """git would read exit code 3 as bad."""
    argv = ["zharness", "bisect", "step", "-C", str(tmp_path), "--store", str(tmp_path / "store")]
    for more, message in (
        ([], "not a git repository"),
        (["none-such"], "none-such"),
        (["--x"], ""),
    ):
        monkeypatch.setattr("sys.argv", [*argv, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 128
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        (["bad", "bad"], "was said to be good, but is bad: pages: wrong"),
        (["good", "good"], "was said to be bad, but is good"),
        (["skip", "bad"], "was said to be good, but is neither good nor bad"),
    ],
)
def test_wrong_good_or_bad_commits_are_refused(tmp_path: Path, answers: list[str], what: str):
    root = tmp_path / "linux"
    commits = history(root, answers)
    with pytest.raises(UsageError) as refused:
        found(root, tmp_path / "state", commits, Trying(root))
    assert what in refused.value.message


def test_ends_in_the_wrong_order(tmp_path: Path):
    root = tmp_path / "linux"
    commits = history(root, ["bad", "skip", "good"])
    with pytest.raises(UsageError, match="git bisect start"):
        found(root, tmp_path / "state", commits[::-1], Trying(root))


def test_another_question_is_refused(tmp_path: Path):
    Memory.open(tmp_path, QUESTION).add(Step("0" * 40, "one", Answer.GOOD, "", 1.0))
    with pytest.raises(UsageError, match="is of another bisection: repeat was 1"):
        Memory.open(tmp_path, {**QUESTION, "repeat": 2})


def test_a_damaged_state_file_is_an_error(tmp_path: Path):
    (tmp_path / STATE).write_text("{")
    with pytest.raises(EvidenceError, match=r"bisect\.json: not JSON"):
        Memory.open(tmp_path, QUESTION)


def test_no_such_commit(tmp_path: Path):
    history(tmp_path / "linux", ["good"])
    with pytest.raises(UsageError, match="no commit 'v9'"):
        Repository(tmp_path / "linux").commit("v9")
    with pytest.raises(UsageError, match="not a git repository"):
        Repository(tmp_path).commit("HEAD")
