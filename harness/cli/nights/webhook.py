"""Tell another server about a night: one POST of JSON, over HTTP or HTTPS."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from harness import __version__
from harness.cli.say import tell
from harness.deadline import Deadline
from harness.errors import UsageError

TOKEN = "ZHARNESS_WEBHOOK_TOKEN"  # noqa: S105 - the name of the variable
SECONDS = 30.0  # for all attempts
_LATE = "no answer in time"
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds between them
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_WAIT_AND_TRY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}


@dataclass(frozen=True)
class Webhook:
    """Where to, and the secret for it. Neither ``url`` nor ``token`` is ever shown."""

    url: str
    token: str | None = None

    @classmethod
    def at(cls, url: str, environment: Mapping[str, str] = os.environ) -> Webhook:
        """Raises UsageError for what is no URL of HTTP, or has a secret where it would be seen."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise UsageError("the webhook is no URL") from None
        if parts.scheme not in ("http", "https") or not host:
            raise UsageError("the webhook is no URL that begins with https:// or http://")
        if not (url.isascii() and url.isprintable()) or " " in url:
            raise UsageError("the webhook's URL has characters that no URL has")
        if "@" in parts.netloc:
            raise UsageError(
                "the webhook's URL has a user's name or password", hint=f"set {TOKEN} instead"
            )
        token = environment.get(TOKEN) or None
        if token is not None:
            if not (token.isascii() and token.isprintable()) or " " in token:
                raise UsageError(f"{TOKEN} has characters that no token has")
            if parts.scheme != "https" and host not in _LOCAL:
                raise UsageError(f"{TOKEN} is sent over https only", hint="use https://")
        return cls(url, token)

    @property
    def host(self) -> str:
        """What may be shown: the path can be a secret, too."""
        return urlsplit(self.url).hostname or ""

    def __repr__(self) -> str:
        return f"Webhook({self.host!r})"


def notify(hook: Webhook, document: Mapping[str, Any], deadline: Deadline | None = None) -> bool:
    """POST the JSON document; whether the server took it. If not, one line on stderr says why."""
    deadline = deadline or Deadline(SECONDS)
    data, why = json.dumps(document).encode(), "no time"
    for attempt in range(1, _ATTEMPTS + 1):
        if deadline.expired:
            break
        answer = _Attempt(hook, data, deadline.at_most(deadline.seconds / _ATTEMPTS))
        if answer.why is None:
            return True
        why = answer.why
        if answer.is_final:
            break
        if attempt < _ATTEMPTS:
            threading.Event().wait(min(_PAUSE, deadline.remaining))
    tell(f"zharness: the webhook at {hook.host} was not told: {why}")
    return False


class _Attempt:
    """One request; ``why`` it failed, None if it did not. ``is_final``: another one is no use.

    urllib has a limit for each operation of the socket, not for all of them. So it runs in a
    thread, which is left alone at the deadline: it ends with the process.
    """

    def __init__(self, hook: Webhook, data: bytes, deadline: Deadline) -> None:
        self.why: str | None = _LATE
        self.is_final = False
        self._request = _request(hook, data)
        self._seconds = deadline.seconds
        self._ended: tuple[str | None, bool] | None = None
        thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        thread.start()
        thread.join(deadline.remaining)
        if self._ended is not None:
            self.why, self.is_final = self._ended

    def _run(self) -> None:
        try:
            with _opener().open(self._request, timeout=self._seconds):
                self._ended = None, True
        except HTTPError as error:
            error.close()
            again = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in _WAIT_AND_TRY
            self._ended = f"its answer is {error.code}", not again
        except Exception as error:
            self._ended = _reason(error), False


def _request(hook: Webhook, data: bytes) -> request.Request:
    headers = {"Content-Type": "application/json", "User-Agent": f"zharness/{__version__}"}
    if hook.token is not None:
        headers["Authorization"] = f"Bearer {hook.token}"
    return request.Request(hook.url, data, headers, method="POST")  # noqa: S310 - checked


def _opener() -> request.OpenerDirector:
    """HTTP and HTTPS, by the proxy that the environment names. It follows no redirection."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> str:
    """Without the words of the error, which may have the URL or the token."""
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return _LATE
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return type(inner).__name__
