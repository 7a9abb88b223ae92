"""bootstrap.sh finds any Python that is new enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "bootstrap.sh"
OLD = "#!/bin/sh\nexit 1\n"
NEW = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def shell(directory: Path, command: str) -> str:
    """What a command prints that may call the script's functions."""
    functions = SCRIPT.read_text().removesuffix('main "$@"\n')
    assert functions != SCRIPT.read_text()
    script = directory / "functions.sh"
    script.write_text(f"{functions}\n{command}\n")
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
    return done.stdout


def fake(directory: Path, programs: dict[str, str]) -> None:
    for name, text in programs.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)


@pytest.mark.parametrize(
    ("pythons", "found"),
    [
        ({"python3": OLD, "python3.14": NEW}, "python3.14"),
        ({"python3": NEW, "python3.14": NEW}, "python3"),
        ({"python3.11": NEW, "python3.20": OLD}, "python3.11"),
    ],
)
def test_the_python_that_is_taken(tmp_path: Path, pythons: dict[str, str], found: str):
    fake(tmp_path, pythons)
    assert shell(tmp_path, f"PATH={tmp_path} find_python") == f"{tmp_path / found}\n"


def test_only_the_tests_need_what_the_tests_need(tmp_path: Path):
    asked = 'here=$PWD; venv=$PWD/.venv; install_packages() { :; }; quietly() { echo "${*: -1}"; };'
    folder = f"mkdir -p {tmp_path}/.venv/bin; cd {tmp_path}; touch .venv/bin/python pyproject.toml;"
    done = shell(
        tmp_path,
        f"{folder} chmod +x .venv/bin/python; log=log; {asked}"
        "find_python() { command -v true; };"
        "for kind in '' '' dev dev ''; do echo \"$kind:\"; set_up $kind; done 2>/dev/null",
    )
    assert done.splitlines() == [":", f"{tmp_path}", ":", "dev:", f"{tmp_path}[dev]", "dev:", ":"]


def test_packages_that_apt_does_not_have_are_left_out_if_they_are_only_useful(tmp_path: Path):
    fake(
        tmp_path,
        {
            "dpkg-query": '#!/bin/sh\n[ "$4" = make ] && echo install ok installed\n',
            "apt-cache": '#!/bin/sh\n[ "$3" = ccache ]\n',
            "grep": '#!/bin/sh\nread line && [ "$line" = "install ok installed" ]\n',
        },
    )
    wanted = shell(tmp_path, f"PATH={tmp_path}; missing_packages; missing_useful").split()
    assert {"gcc-s390x-linux-gnu", "debian-archive-keyring", "qemu-system-s390x"} < set(wanted)
    assert "make" not in wanted
    assert "ccache" in wanted
    assert "python3-libkdumpfile" not in wanted


def test_the_mirror_is_handed_on(tmp_path: Path):
    command = (
        'set_up() { echo "$ZHARNESS_DEBIAN_MIRROR"; }; main setup --debian-mirror http://x/debian'
    )
    assert shell(tmp_path, command) == "http://x/debian\n"
