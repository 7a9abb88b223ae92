"""A workload is started, and the system is in the middle of it: its counter moves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deadline import Deadline
from harness.errors import HarnessError, UsageError
from harness.machine.inside.workload import (
    MAX_SCRIPT,
    ContentFile,
    counted,
    digest_of,
    script_of,
    start,
)
from harness.triggers.known_content import known_content
from harness.triggers.workloads import CONTENT_LIST, CONTENT_SEED, WORKLOADS, workload_of
from tests.support.runs.running_system import SECONDS

SOON = 0.2  # in which what does not come does not come
BUSY, STORM, CACHE = (WORKLOADS[name] for name in ("busy", "fork-storm", "page-cache"))


class CountingShell:
    """A system whose counter shows one number after the other, and stays at the last."""

    def __init__(self, *numbers: object, ended: bool = False, content: str = "") -> None:
        self._numbers, self._ended, self._content = list(numbers), ended, content
        self.ran: list[str] = []
        self.put_there: dict[str, bytes] = {}

    def run(self, command: str, deadline: Deadline) -> str:
        self.ran.append(command)
        if command.startswith("tail "):
            return "no zram\r\nmodprobe: \x1b[31mFATAL\r\n"
        if "zharness: counter" not in command:
            return ""
        if self._ended and "kill -0" in command:
            return "zharness: counter \r\nzharness: workload ended\r\n"
        number = self._numbers.pop(0) if len(self._numbers) > 1 else self._numbers[0]
        return f"[    1.2] a kernel message\r\nzharness: counter {number}\r\n"

    def send(self, command: str) -> None:
        raise AssertionError

    def put(self, local: Path, remote: str, deadline: Deadline) -> None:
        self.put_there[remote] = local.read_bytes()

    def get(self, remote: str, local: Path, deadline: Deadline) -> None:
        assert remote == CONTENT_LIST
        local.write_text(self._content)


def test_a_command_is_typed_and_its_counter_moves():
    shell = CountingShell(7, 7, 9)
    at_work = start(BUSY, shell, Deadline(SECONDS))
    assert shell.ran[0] == BUSY.command
    assert (at_work.name, at_work.before, at_work.after) == ("busy", 7, 9)
    assert at_work.to_json() == {"workload_counter": {"before": 7, "after": 9}}


def test_a_script_is_put_there_and_runs_in_the_background():
    shell = CountingShell("", 0, "", 1)
    at_work = start(STORM, shell, Deadline(SECONDS))
    (remote,) = shell.put_there
    assert shell.put_there[remote] == script_of(STORM).read_bytes()
    (launch,) = [each for each in shell.ran if remote in each and "setsid" in each]
    assert launch.endswith("&")
    assert "ZHARNESS_COUNTER=/run/zharness/counter" in launch
    assert (at_work.before, at_work.after) == (0, 1)


@pytest.mark.parametrize(("shown", "what"), [("", "printed no number"), (5, "stayed at 5 for")])
def test_a_counter_that_does_not_move_is_an_error(shown, what):
    with pytest.raises(HarnessError, match=what) as caught:
        start(BUSY, CountingShell(shown), Deadline(SOON))
    assert type(caught.value) is HarnessError
    assert "\n" not in caught.value.message


def test_a_counter_that_falls_has_not_moved():
    with pytest.raises(HarnessError, match="stayed at 9"):
        start(BUSY, CountingShell(9, 3), Deadline(SOON))


def test_a_script_that_ends_is_an_error_with_its_last_words():
    with pytest.raises(HarnessError, match="memory-pressure ended before") as caught:
        start(WORKLOADS["memory-pressure"], CountingShell(1, ended=True), Deadline(SECONDS))
    assert caught.value.message.endswith(r"no zram\r / modprobe: \x1b[31mFATAL\r")
    assert caught.value.hint == "it needs CONFIG_SWAP, CONFIG_ZRAM"


def listed(number: int = 3, size: int = 8192, digest: str = "") -> str:
    content = known_content(CONTENT_SEED, number, size)
    digest = digest or hashlib.sha256(content).hexdigest()
    return f"{digest} {size} /var/lib/zharness/content/{number:03}\n"


def test_files_of_known_content_are_proved_and_recorded():
    shell = CountingShell(1, 2, content=listed(3) + listed(99, 4096))
    at_work = start(CACHE, shell, Deadline(SECONDS))
    first, second = at_work.files
    assert first == ContentFile("/var/lib/zharness/content/003", 8192, listed(3)[:64])
    assert at_work.to_json()["workload_files"][1]["path"] == second.path


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (listed(digest="0" * 64), "does not have the content"),
        ("nonsense \x1b\n", r"'nonsense \\x1b' names no file"),
        (listed().replace("content/", "../"), "names no file"),
        (f"{'0' * 64} 99999999 /var/lib/zharness/content/001\n", "names no file"),
    ],
)
def test_another_content_or_another_list_is_an_error(content, what):
    with pytest.raises(HarnessError, match=what):
        start(CACHE, CountingShell(1, 2, content=content), Deadline(SECONDS))


@given(st.integers(0, 10**18 - 1), st.text(), st.sampled_from(["\n", "\r\n"]))
def test_a_number_is_found_behind_any_text(number, before, end):
    assert counted(f"{before}{end}zharness: counter {number:015}{end}{end}more") == number


@given(st.text())
def test_other_text_has_no_number(text):
    assert counted(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "zharness: counter \r\n",
        "zharness: counter x1\r\n",
        "zharness: counter 00000[    1.0] message\r\n00012\r\n",  # in the middle of it
        "zharness: counter -5\r\n",
        "zharness: counter 1.5\r\n",
        f"zharness: counter {10**18}\r\n",
    ],
)
def test_what_is_no_number_is_none(text):
    assert counted(text) is None


def test_a_script_of_the_users_own_is_read_where_it_is(tmp_path):
    script = tmp_path / "load"
    script.write_text("#!/bin/sh\n:\n")
    workload = workload_of(str(script))
    assert digest_of(workload) == hashlib.sha256(script.read_bytes()).hexdigest()
    shell = CountingShell(1, 2)
    assert start(workload, shell, Deadline(SECONDS)).name == "load"
    assert list(shell.put_there.values()) == [script.read_bytes()]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file"),
        (b"", "is no script"),
        (b"\x7fELF", "is no script"),
        (b"#!" + b"x" * MAX_SCRIPT, "is larger than 1 MiB"),
    ],
)
def test_what_is_no_script_is_a_usage_error(tmp_path, content, what):
    path = tmp_path / "load"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=what):
        digest_of(workload_of(str(path)))


def test_a_directory_is_no_script(tmp_path):
    with pytest.raises(UsageError, match="is not a regular file"):
        digest_of(workload_of(f"{tmp_path}/."))
