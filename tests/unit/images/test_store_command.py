"""The tools that fill the store."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from harness.errors import BuildError, HostError
from harness.host import tools as host_tools
from harness.host.tools import find_tool, require_tools
from harness.images.command import Tools


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "build.log", "thing")


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_output_goes_to_the_log_and_line_by_line(tools: Tools) -> None:
    heard: list[str] = []
    tools.run(script("echo one; echo two >&2"), on_line=heard.append)
    assert heard == ["one\n", "two\n"]
    assert tools.log.read_text() == "$ sh -c echo one; echo two >&2\none\ntwo\n"


def test_directory_and_environment(tools: Tools, tmp_path: Path) -> None:
    heard: list[str] = []
    made = Tools(tools.log, "thing", {"COLOUR": "blue"})
    made.run(script('echo "$COLOUR $LC_ALL $PWD"'), cwd=tmp_path, on_line=heard.append)
    assert heard == [f"blue C {tmp_path}\n"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["  CC lib/errname.o", "a.c:1:2: error: no such thing", "make: *** [a.o] Error 1"], 1),
        (["checking cannot be done", "E: Unable to locate package x"], 1),
        (["ld: a.o: undefined reference to 'f'", "make: *** failed"], 0),
        (["  CC fs/error.o", "  LD vmlinux", "make: *** No rule to make target"], 2),
        (["warning: this is nothing", "dying"], 1),
    ],
)
def test_the_reason_is_the_first_sure_line(tools: Tools, lines: list[str], reason: int) -> None:
    text = "".join(f'echo "{line}"; ' for line in lines)
    with pytest.raises(BuildError) as failure:
        tools.run(script(f"{text} exit 2"))
    assert failure.value.message == f"cannot build thing: sh: {lines[reason].strip()}"


@pytest.mark.parametrize(
    ("text", "reason"), [("exit 7", "exit status 7"), ("kill -TERM $$", "killed by SIGTERM")]
)
def test_a_silent_failure_has_its_status(tools: Tools, text: str, reason: str) -> None:
    with pytest.raises(BuildError, match=f"thing: sh: {reason}$"):
        tools.run(script(text))


def test_an_error_line_of_a_successful_tool_is_ignored(tools: Tools) -> None:
    tools.run(script("echo error: harmless"))


def test_a_missing_tool_names_its_package(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_tools, "_SUPER_USER_DIRS", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "apt-get").touch(mode=0o755)
    with pytest.raises(HostError, match="sfdisk is not installed") as failure:
        find_tool("sfdisk")
    assert failure.value.hint == "apt-get install fdisk"
    with pytest.raises(HostError, match="setpriv is not installed"):
        tools.run(["/bin/true"])


def test_a_host_without_apt_is_told_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_tools, "_SUPER_USER_DIRS", "")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as failure:
        find_tool("sfdisk")
    assert failure.value.hint == (
        "install what Debian has as fdisk, or use a container: docs/hosts.md"
    )


def test_all_missing_tools_at_once() -> None:
    with pytest.raises(HostError, match="no-a, no-b are not installed") as failure:
        require_tools(["sh", "no-a", "no-b"])
    assert failure.value.hint == "apt-get install no-a no-b"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_ends_the_whole_group(tools: Tools, error: type[BaseException]) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.extend(int(word) for word in line.split())
        raise error

    with pytest.raises(error):
        tools.run(script("sleep 60 & echo $$ $!; wait"), on_line=interrupt)
    shell, child = pids
    assert gone(shell)
    assert gone(child)


def gone(pid: int) -> bool:
    """Whether a process ends, if only as a zombie that waits for init."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)
