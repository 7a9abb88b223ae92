"""Ask a run about the machine that it keeps; the person's side. See ``keeper``."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

from harness.errors import HostError, UsageError
from harness.evidence.held import Held

_SECONDS = 90.0  # longer than the keeper waits for QEMU
_ANSWER_BYTES = 64 << 20


def ask(held: Held, words: Sequence[str]) -> Any:
    """The answer to a command: text, or JSON.

    Raises UsageError if the keeper refuses it, HostError if it does not answer.
    """
    try:
        answer = json.loads(_answer(held, json.dumps(list(words)).encode() + b"\n"))
    except ValueError as error:
        raise HostError(f"{held.control}: process {held.pid} gave no answer: {error}") from error
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    return answer.get("said")


def _answer(held: Held, request: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_SECONDS)
            sock.connect(held.control)
            sock.sendall(request)
            answer = b""
            while (more := sock.recv(1 << 16)) and len(answer) < _ANSWER_BYTES:
                answer += more
            return answer
    except OSError as error:
        raise HostError(f"{held.control}: process {held.pid} does not answer: {error}") from error
