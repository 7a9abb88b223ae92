"""A server is told about a night: once, in time, and nothing secret is shown."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import app
from harness.cli.batch import hosts
from harness.cli.nights import webhook
from harness.cli.nights.webhook import TOKEN, Webhook, notify
from harness.deadline import Deadline
from harness.errors import UsageError
from harness.run.batch.local_run import on_this_host
from tests.support.runs import fake_worker

SECRET = "s3cr3t-t0ken"
DOCUMENT = {"night": 7}


@dataclass
class Server:
    """Answers with these codes in turn, the last one for ever; HANG and DRIP never end."""

    HANG, DRIP = 0, 1

    codes: list[int]
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in/secret-path"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.got.append((handler.path, dict(handler.headers), json.loads(body)))
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code == self.HANG:
            self.released.wait(60)
            return
        if code == self.DRIP:
            while not self.released.wait(0.05):
                handler.wfile.write(b"H")
            return
        handler.send_response(code)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(webhook, "_PAUSE", 0.01)
    running: list[tuple[ThreadingHTTPServer, Server]] = []

    def serve(*codes: int, **headers: str) -> Server:
        made = Server(list(codes), headers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                made.answer(self)

            def do_GET(self) -> None:
                made.got.append((self.path, dict(self.headers), None))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        made.port = http.server_address[1]
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append((http, made))
        return made

    yield serve
    for http, made in running:
        made.released.set()
        http.shutdown()
        http.server_close()


def test_a_server_gets_the_document_and_the_token(serve, capsys):
    server = serve(200)
    assert notify(Webhook.at(server.url, {TOKEN: SECRET}), DOCUMENT)
    ((path, headers, document),) = server.got
    assert (path, document) == ("/in/secret-path", DOCUMENT)
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert capsys.readouterr().err == ""


def test_without_a_token_there_is_no_authorization(serve):
    server = serve(204)
    assert notify(Webhook.at(server.url, {}), DOCUMENT)
    assert "Authorization" not in server.got[0][1]


@pytest.mark.parametrize(
    ("codes", "taken", "times"),
    [
        ([503, 200], True, 2),
        ([503, 429, 201], True, 3),
        ([500], False, 3),
        ([404], False, 1),
        ([401], False, 1),
    ],
)
def test_it_tries_again_only_if_that_may_help(serve, capsys, codes, taken, times):
    server = serve(*codes)
    assert notify(Webhook.at(server.url, {TOKEN: SECRET}), DOCUMENT) is taken
    assert len(server.got) == times
    err = capsys.readouterr().err
    assert err.count("\n") == (0 if taken else 1)
    assert SECRET not in err
    assert "secret-path" not in err


@pytest.mark.parametrize("kind", [Server.HANG, Server.DRIP])
def test_a_server_that_hangs_or_drips_is_left_in_time(serve, capsys, kind):
    server = serve(kind)
    begin = time.monotonic()
    assert not notify(Webhook.at(server.url, {}), DOCUMENT, Deadline(0.6))
    assert time.monotonic() - begin < 5
    assert capsys.readouterr().err.endswith("was not told: no answer in time\n")
    assert 1 <= len(server.got) <= 3


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["file:///etc/passwd", "http", "ftp://127.0.0.1/x"])
def test_no_redirection_is_followed(serve, capsys, tmp_path: Path, code, target):
    another = serve(200)
    server = serve(code, Location=another.url if target == "http" else target)
    assert not notify(Webhook.at(server.url, {TOKEN: SECRET}), DOCUMENT)
    assert another.got == []
    assert f"its answer is {code}" in capsys.readouterr().err


def test_a_server_that_is_not_there(serve, capsys):
    server = serve(200)
    server.port = 1
    assert not notify(Webhook.at(server.url, {TOKEN: SECRET}), DOCUMENT)
    assert capsys.readouterr().err == (
        "zharness: the webhook at 127.0.0.1 was not told: Connection refused\n"
    )


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://host/x",
            "gopher://h",
            "data:,x",
            "host/path",
            "",
            "https://",
        ),
        *("http://[", "http://h:x/", "http://h:99999/", "http://u:pw@h/", "https://u@h/"),
        *("http://h/a b", "http://h/\nX: y", "http://h/\u00e9", "http:///x"),
    ],
)
def test_a_url_that_is_none_of_http(url):
    with pytest.raises(UsageError) as caught:
        Webhook.at(url, {})
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "\u00e9"])
def test_a_token_that_could_be_a_header(token):
    with pytest.raises(UsageError) as caught:
        Webhook.at("https://host/", {TOKEN: token})
    assert token not in caught.value.message


def test_a_token_does_not_go_over_the_network_in_clear():
    with pytest.raises(UsageError, match="https only"):
        Webhook.at("http://host/", {TOKEN: SECRET})
    assert SECRET not in repr(Webhook.at("https://host/in/secret-path", {TOKEN: SECRET}))


@pytest.fixture
def zharness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZHARNESS_RESULTS", str(tmp_path / "results.sqlite"))
    monkeypatch.setattr("harness.cli.commands.nights.night.default_nights", lambda: tmp_path / "n")
    for name in ("passing", "failing"):
        (tmp_path / f"{name}.toml").write_text("description = 'x'\n")
    command = [sys.executable, fake_worker.__file__]
    monkeypatch.setattr(hosts, "on_this_host", lambda: on_this_host(command))
    return lambda *words: app(list(words), standalone_mode=False) or 0


@pytest.mark.parametrize(("name", "code"), [("passing", 0), ("failing", 1)])
@pytest.mark.parametrize("answer", [200, 500])
def test_a_night_tells_what_night_diff_tells(serve, zharness, capsys, name, code, answer):
    server = serve(answer)
    assert zharness("night", "run", f"{name}.toml", "--webhook", server.url) == code
    capsys.readouterr()
    assert zharness("night", "diff", "--json") == code
    assert server.got[0][2] == json.loads(capsys.readouterr().out)


def test_a_wrong_url_is_told_before_the_night(zharness, tmp_path: Path):
    with pytest.raises(UsageError, match="https://"):
        zharness("night", "run", "passing.toml", "--webhook", "file:///x")
    assert not (tmp_path / "n").exists()
