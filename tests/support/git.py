"""Git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.org"]
    run = subprocess.run(
        ["git", "-C", str(root), *who, *words], check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def history(root: Path, answers: list[str]) -> list[str]:
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    commits = []
    for number, answer in enumerate(answers):
        (root / "what").write_text(answer)
        commits.append(commit(root, f"commit {number}"))
    return commits
