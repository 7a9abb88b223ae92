"""attach: what a person types reaches the keeper, and what it says cannot harm a terminal."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.app import app
from harness.evidence.directory import RunDirectory
from harness.evidence.held import Held, System

ANSWERS = {
    "console": {"said": "zfcpdump: \x1b[31mred"},
    "firmware": {"said": {"HSA": {"released": True}}},
    "wrong": {"error": "'wrong' is no command"},
    "release": {"said": "the run continues"},
}


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[list[str]]]:
    """The requests that reach the keeper of a machine, whose evidence is in ``tmp_path``."""
    requests: list[list[str]] = []
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "control"))
    server.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client, client.makefile("rwb") as stream:
                words = json.loads(stream.readline())
                if words == ["end"]:
                    return
                requests.append(words)
                stream.write(json.dumps(ANSWERS[words[0]]).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    control = str(tmp_path / "control")
    Held(os.getpid(), System.DUMP, "stalled", control, control).save(RunDirectory(tmp_path))
    yield requests
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(control)
        sock.sendall(b'["end"]\n')
    thread.join()
    server.close()


def attach(*words: object) -> None:
    app(["attach", *map(str, words)], standalone_mode=False)


def test_one_command(asked, tmp_path, capsys):
    attach(tmp_path, "firmware")
    assert asked == [["firmware"]]
    assert json.loads(capsys.readouterr().out) == {"HSA": {"released": True}}


def test_a_conversation_ends_with_the_release(asked, tmp_path, capsys, monkeypatch):
    typed = "wrong\n\n'unfinished\nfirmware\nrelease\nconsole\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    attach(tmp_path)
    assert asked == [["console"], ["wrong"], ["firmware"], ["release"]]
    out, err = capsys.readouterr()
    assert out.startswith("the dump system is kept: stalled\nzfcpdump: \\x1b[31mred\n")
    assert "'wrong' is no command" in err
    assert "No closing quotation" in err


def test_the_end_of_the_input_leaves_the_machine(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    attach(tmp_path)
    assert asked == [["console"]]
