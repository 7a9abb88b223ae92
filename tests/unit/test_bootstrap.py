"""bootstrap.sh finds any Python that is new enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bootstrap.sh"
OLD = "#!/bin/sh\nexit 1\n"
NEW = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


@pytest.mark.parametrize(
    ("pythons", "found"),
    [
        ({"python3": OLD, "python3.14": NEW}, "python3.14"),
        ({"python3": NEW, "python3.14": NEW}, "python3"),
        ({"python3.11": NEW, "python3.20": OLD}, "python3.11"),
    ],
)
def test_the_python_that_is_taken(tmp_path: Path, pythons: dict[str, str], found: str):
    for name, text in pythons.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    functions = SCRIPT.read_text().removesuffix('main "$@"\n')
    assert functions != SCRIPT.read_text()
    script = tmp_path / "functions.sh"
    script.write_text(f"{functions}\nPATH={tmp_path} find_python\n")
    done = subprocess.run(
        ["bash", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / found}\n"
