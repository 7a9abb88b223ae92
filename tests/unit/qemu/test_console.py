from __future__ import annotations

import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HostError
from harness.qemu import console_log
from harness.qemu.console import UNREAD_LIMIT, Console
from harness.qemu.console_log import LINE_LIMIT, ConsoleLog

LOG_LINE = re.compile(r"\+ *\d+\.\d{6} (.*)\n")
SECONDS = 10


class Guest:
    """The guest's end, and the console on the other."""

    def __init__(self, log: Path, on_line: Callable[[str], None] | None = None) -> None:
        self.log = log
        ours, self.sock = socket.socketpair()
        self.console = Console(ours, log, name="g", started=time.monotonic(), on_line=on_line)

    def say(self, text: str | bytes) -> None:
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def end(self) -> str:
        """Power off; returns the log's text without time stamps."""
        self.sock.close()
        self.console.close()
        return logged(self.log)


def logged(log: Path) -> str:
    """The lines of a log. Fails if one of them is not in the log's form."""
    text = log.read_bytes().decode()
    lines = text.split("\n")
    assert lines.pop() == ""
    found = [LOG_LINE.fullmatch(line + "\n") for line in lines]
    assert all(found)
    return "".join(f"{match[1]}\n" for match in found if match)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path / "console.log")
    yield guest
    guest.sock.close()
    guest.console.close()


def test_lines_are_logged_without_line_ends(guest: Guest):
    guest.say("one\r\n\r\ntwo\n\rthree")
    assert guest.end() == "one\n\ntwo\nthree\n"


def test_a_prompt_is_logged_while_it_waits(guest: Guest):
    guest.say("booted\r\nlogin: ")
    guest.console.expect_exact("login: ", timeout=SECONDS)
    assert re.fullmatch(
        r"\+ *[\d.]+ booted\n\+ *[\d.]+ login: ", guest.log.read_text(encoding="utf-8")
    )
    assert guest.console.tail(2) == ("booted", "login: ")
    guest.console.sendline("root")
    assert guest.sock.recv(100) == b"root\n"
    guest.say("root\r\nWelcome\r\n")
    assert guest.end() == "booted\nlogin: root\nWelcome\n"


def test_time_stamps_are_of_the_first_character(tmp_path: Path):
    log = tmp_path / "log"
    lines = ConsoleLog(log, started=time.monotonic() - 12.345)
    lines.feed("first", ended=False)
    early = log.read_text(encoding="utf-8")
    lines.feed(" rest\nnext", ended=True)
    lines.close()
    text = log.read_text(encoding="utf-8")
    assert text.startswith(early + " rest\n")
    assert re.fullmatch(r"\+   12\.\d{6} first", early)
    assert len(text.splitlines()[1].split(" next", maxsplit=1)[0]) == len("+   12.345678")


texts = st.text(st.sampled_from("ab \r\n\t\u00e9"), max_size=60)


@given(texts, st.lists(st.integers(0, 60)), texts)
def test_pieces_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, text: str, cuts: list[int], last: str
):
    log = tmp_path_factory.mktemp("log") / "log"
    lines = ConsoleLog(log, started=time.monotonic())
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    seen: list[str] = []
    for start, end in itertools.pairwise(edges):
        seen += lines.feed(text[start:end], ended=False)
    seen += lines.feed(last, ended=True)
    lines.close()
    expected = (text + last).replace("\r", "").split("\n")
    if not expected[-1]:
        expected.pop()
    assert seen == expected
    assert list(lines.tail(100)) == expected
    assert logged(log).split("\n")[:-1] == expected


@pytest.mark.parametrize("size", [1, 5, LINE_LIMIT, LINE_LIMIT + 1])
def test_a_line_without_end_is_cut(guest: Guest, size: int):
    text = "0123456789" * LINE_LIMIT
    for at in range(0, len(text), size) if size > 5 else range(0):
        guest.say(text[at : at + size])
    guest.say("" if size > 5 else text)
    lines = guest.end().splitlines()
    assert "".join(lines) == text
    assert {len(line) for line in lines} == {LINE_LIMIT}
    assert guest.console.tail(3) == tuple(lines[-3:])


def test_a_line_of_just_the_longest_length_is_one(guest: Guest):
    guest.say("x" * LINE_LIMIT + "\n" + "y" * LINE_LIMIT)
    guest.say("\nz")
    assert [len(line) for line in guest.end().splitlines()] == [LINE_LIMIT, LINE_LIMIT, 1]


@pytest.mark.parametrize("line", ["x" * 99, "", "x" * (3 * LINE_LIMIT)])
def test_a_log_does_not_grow_for_ever_and_has_the_end(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, line: str
):
    monkeypatch.setattr(console_log, "LOG_LIMIT", 100_000)
    assert guest.console.limits == ()
    for _ in range(200):
        guest.say(f"{line}\n" * 50)
    guest.say("no\nlast words")
    lines = guest.end().splitlines()
    full = "[the log was full here; the last lines follow]"
    assert lines.count(full) == 1
    assert [text for text in lines if text != full][-2:] == ["no", "last words"]
    assert lines[0] == line[:LINE_LIMIT]
    assert guest.log.stat().st_size < 200_000 + 65536 + console_log.TAIL_LINES * (LINE_LIMIT + 20)
    assert re.fullmatch(
        r"the console log was cut at \d+ MiB: \d+ characters came after it, .*",
        "".join(guest.console.limits),
    )


def test_a_log_that_is_full_within_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console_log, "LOG_LIMIT", 10)
    log = ConsoleLog(tmp_path / "log", time.monotonic())
    for text in ("first\nse", "cond", " line"):
        log.feed(text, ended=False)
    assert log.feed("", ended=True) == ["second line"]
    log.close()
    full = "[the log was full here; the last lines follow]"
    assert logged(tmp_path / "log").splitlines() == ["first", "se", full]
    assert log.tail(2) == ("first", "second line")


def test_lines_are_echoed_from_another_thread(tmp_path: Path):
    seen: list[tuple[str, bool]] = []
    main = threading.current_thread()
    guest = Guest(
        tmp_path / "log",
        lambda line: seen.append((line, threading.current_thread() is main)),
    )
    guest.say("a\nb\nlast words")
    guest.end()
    assert seen == [("a", False), ("b", False), ("last words", False)]


def test_expect_in_turn_and_end_of_file(guest: Guest):
    guest.say("alpha beta gamma")
    assert guest.console.expect(["x", "be(t)a"], timeout=SECONDS) == 1
    assert guest.console.before == "alpha "
    with pytest.raises(pexpect.TIMEOUT):
        guest.console.expect("delta", timeout=0.01)
    guest.sock.close()
    guest.console.expect("gamma", timeout=SECONDS)
    with pytest.raises(pexpect.EOF):
        guest.console.expect("delta", timeout=SECONDS)
    assert not guest.console.isalive()
    guest.console.sendline("anybody there?")


def test_multibyte_characters_in_pieces_and_broken_ones(guest: Guest):
    for byte in "é".encode():
        guest.say(bytes([byte]))
    guest.say(b"\xff|\xc3")
    assert guest.end() == "é\ufffd|\ufffd\n"


def test_the_guest_is_never_held_up_and_memory_is_bounded(tmp_path: Path):
    last = threading.Event()
    guest = Guest(tmp_path / "log", lambda line: last.set() if line == "last" else None)
    line = "x" * 1023 + "\n"
    count = 3 * UNREAD_LIMIT // len(line)
    guest.sock.settimeout(SECONDS)
    for _ in range(count):
        guest.say(line)
    guest.say("last\n")
    assert last.wait(SECONDS)  # nobody has expected anything so far
    guest.say("now")
    guest.console.expect("now", timeout=SECONDS)
    assert len(guest.console.before or "") <= UNREAD_LIMIT
    assert guest.end().count("\n") == count + 2


def test_the_last_lines_of_the_console_are_kept(guest: Guest):
    guest.say("".join(f"{number}\n" for number in range(2000)) + "end")
    guest.console.expect("end", timeout=SECONDS)
    assert guest.console.tail(3) == ("1998", "1999", "end")
    assert guest.console.tail(0) == ()


def test_a_full_disk_is_told(guest: Guest):
    log = Path("/dev/full")
    ours, theirs = socket.socketpair()
    console = Console(ours, log, name="g", started=time.monotonic())
    with theirs:
        theirs.sendall(b"text\n")
        with pytest.raises(HostError, match="/dev/full cannot be written: No space left"):
            console.expect("text", timeout=SECONDS)
        theirs.sendall(b"more\n")  # nobody is held up
        with pytest.raises(HostError):
            console.close()
    console.close()


def test_an_error_of_the_echo_is_told(tmp_path: Path):
    def fail(line: str) -> None:
        raise RuntimeError(line)

    guest = Guest(tmp_path / "log", fail)
    guest.say("bad line\n")
    with pytest.raises(RuntimeError, match="bad line"):
        guest.console.expect("never", timeout=SECONDS)
    guest.say("good line\n")
    with pytest.raises(RuntimeError, match="bad line"):
        guest.end()
    assert logged(guest.log) == "bad line\ngood line\n"


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_changes_no_deadline(guest, monkeypatch, jump: float):
    real, calls = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() + jump * next(calls))
    guest.say("tick\n")
    start = time.monotonic()
    with pytest.raises(pexpect.TIMEOUT):
        guest.console.expect("never", timeout=0.5)
    assert 0.5 <= time.monotonic() - start < 60


def test_a_guest_that_never_stops_talking_does_not_stop_the_clock(guest):
    talking = threading.Event()

    def talk() -> None:
        while not talking.wait(0.001):
            guest.say("x" * 100 + "\n")

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        with pytest.raises(pexpect.TIMEOUT):
            guest.console.expect("never", timeout=0.3)
    finally:
        talking.set()
        thread.join()
