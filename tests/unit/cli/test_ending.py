"""How a command ends if its streams, its limits or a signal end it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ExitCode

MANY = ("scenario", "list", "--json")  # more than a pipe holds at once

# the command in these tests: harmless, and long enough to be ended
# zharness loads its modules after it has opened the streams that are closed; a module that keeps a
# file open (seen with Python 3.14) must not get the number of one here either
STAND_IN = """
import os, sys, time
held = [os.open(os.devnull, os.O_RDWR)]
while held[-1] < 3:
    held.append(os.open(os.devnull, os.O_RDWR))
from harness.cli import main, command
for fd in held:
    os.close(fd)
def app(**_):
    {body}
command.app = app
main()
"""


def run(*arguments, shell: str = "", limits=(), **environment) -> subprocess.CompletedProcess:
    """zharness with a shell's redirections behind it."""
    # the shell does what Popen cannot: close descriptors before Python starts
    script = f'exec "$@" {shell}'

    def limited() -> None:
        for which, value in limits:
            resource.setrlimit(which, (value, value))

    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "harness", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=limited,
        check=False,
    )


def stand_in(body: str, **options) -> subprocess.CompletedProcess:
    code = STAND_IN.format(body=body)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )


def one_line(done: subprocess.CompletedProcess) -> str:
    """The error: one line, and perhaps a hint."""
    first, *hints = done.stderr.splitlines()
    assert first.startswith("zharness: ")
    assert all(hint.startswith("zharness: hint: ") for hint in hints)
    assert len(hints) < 2
    return first


@pytest.mark.parametrize("code", [ExitCode.PASS, ExitCode.FAIL, ExitCode.ERROR])
@pytest.mark.parametrize("amount", [1, 1 << 20])
def test_a_closed_pipe_does_not_change_the_exit_code(code, amount):
    reader, writer = os.pipe()
    os.close(reader)
    body = f"print('x' * {amount}); return {int(code)}"
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-c", STAND_IN.format(body=body)],
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (code, "")


def test_rich_does_not_make_a_wrong_dump_of_a_broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "harness", "scenario", "list"],
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ExitCode.PASS, b"")


def test_typer_does_not_make_a_wrong_dump_of_another_broken_pipe():
    """A broken pipe of a connection of our own."""
    body = "raise BrokenPipeError(32, 'Broken pipe')"
    assert stand_in(body).returncode == ExitCode.ERROR
    body = """
    import errno, typer
    inner = typer.Typer()
    @inner.command()
    def fail() -> None:
        raise BrokenPipeError(errno.EPIPE, 'Broken pipe')
    return inner([], standalone_mode=False)"""
    done = stand_in(body)
    assert done.returncode == ExitCode.ERROR
    assert "Broken pipe" in one_line(done)


@pytest.mark.parametrize("amount", [1, 1 << 20])
@pytest.mark.parametrize("code", [ExitCode.PASS, ExitCode.FAIL])
def test_a_full_standard_output_is_an_error(amount, code):
    body = f"print('x' * {amount}); return {int(code)}"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", STAND_IN.format(body=body)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.ERROR
    assert "standard output cannot be written: No space left on device" in one_line(done)


@pytest.mark.parametrize("code", [ExitCode.PASS, ExitCode.FAIL, ExitCode.USAGE])
@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-"])
def test_standard_error_does_not_change_the_exit_code(code, where):
    body = f"print('x' * 100_000, file=sys.stderr); print('answer'); return {int(code)}"
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec "$@" {where}',
            "sh",
            sys.executable,
            "-c",
            STAND_IN.format(body=body),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "answer\n")


def test_both_streams_full():
    assert run(*MANY, shell="> /dev/full 2>&1").returncode == ExitCode.ERROR
    assert run("fly", shell="> /dev/full 2>&1").returncode == ExitCode.USAGE


def test_a_closed_standard_output_is_an_error():
    done = run(*MANY, shell=">&-")
    assert done.returncode == ExitCode.ERROR
    assert one_line(done) == "zharness: standard output is closed"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_no_file_gets_the_number_of_a_stream(closed, tmp_path):
    body = f"""
    fd = __import__('os').open({str(tmp_path)!r}, 0)
    print(fd, sys.stdin.read() == '')"""
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'exec "$@" {closed}',
            "sh",
            sys.executable,
            "-c",
            STAND_IN.format(body=body),
        ],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    fd, empty = done.stdout.split()
    assert int(fd) > 2
    assert empty == "True"


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "no_SUCH.locale"},
    ],
)
def test_characters_that_a_stream_lacks_are_escaped(environment):
    body = """
    from rich.console import Console
    Console(soft_wrap=True).print('caf\\u00e9 \\udcff')
    print('caf\\u00e9 \\udcff', file=sys.stderr)"""
    done = stand_in(body, env={**os.environ, **environment})
    assert done.returncode == ExitCode.PASS, done.stderr
    for text in (done.stdout, done.stderr):
        assert text.startswith("caf")
        assert "\\udcff" in text


@pytest.mark.parametrize(
    ("error", "option"),
    [
        ("OSError(24, 'Too many open files')", "ulimit -n"),
        ("OSError(12, 'Cannot allocate memory')", "ulimit -v"),
        ("MemoryError()", "ulimit -v"),
        ("BlockingIOError(11, 'Resource temporarily unavailable')", "ulimit -u"),
        ("OSError(27, 'File too large', '/x')", "ulimit -f"),
        ("OSError(28, 'No space left on device', '/x')", "free some space"),
        ("ImportError('libz.so.1: failed to map segment')", "ulimit -a"),
    ],
)
def test_a_small_limit_is_an_error_in_one_line(error, option):
    done = stand_in(f"raise {error}")
    assert done.returncode == ExitCode.ERROR, done.stderr
    assert "internal error" not in one_line(done)
    assert option in done.stderr


def test_too_little_memory_is_not_a_wrong_dump():
    """Enough for Python, but not for the modules of the command line."""
    done = run(*MANY, limits=[(resource.RLIMIT_AS, 45 << 20)])
    assert done.returncode == ExitCode.ERROR, done.stderr
    assert "ulimit" in one_line(done) + done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_with_one_line(name):
    number = signal.Signals[name]
    body = "__import__('os').write(1, b'begun\\n'); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", STAND_IN.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == 128 + number
    by = "" if name == "SIGINT" else f" by {name}"
    assert err == f"zharness: interrupted{by}\n"


def test_a_second_signal_ends_it_at_once():
    body = """
    try:
        __import__('os').write(1, b'begun\\n')
        time.sleep(600)
    finally:
        __import__('os').write(1, b'ending\\n')
        time.sleep(600)"""
    with subprocess.Popen(
        [sys.executable, "-c", STAND_IN.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "ending\n"
        process.send_signal(signal.SIGTERM)  # a service manager's, at the same moment: no second
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (128 + signal.SIGINT, "")


def test_ignored_signals_stay_ignored():
    """Like nohup."""
    body = "__import__('os').write(1, b'begun\\n'); sys.stdin.read(); return 0"
    with subprocess.Popen(
        [
            "/bin/sh",
            "-c",
            'trap "" HUP; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            STAND_IN.format(body=body),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate("")
    assert (process.returncode, err) == (0, "")


def test_json_in_a_pipe_is_whole():
    assert json.loads(run(*MANY).stdout)
