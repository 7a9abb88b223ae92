"""Connect the user's terminal with one in a running system."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from harness.ssh.terminal import Size

KEYS, SCREEN = 0, 1  # standard input and output
LOOK_SECONDS = 0.02  # how often the machine is seen to while nobody types

_PIECE = 1 << 15


class Remote(Protocol):
    """What is on the other end; see ``harness.ssh.terminal.Terminal``."""

    def fileno(self) -> int: ...

    def read(self) -> bytes: ...

    def write(self, keys: bytes) -> None: ...

    def resize(self, size: Size) -> None: ...


def size_of_screen() -> Size:
    """The size of the user's terminal; 80x24 if it does not tell one."""
    try:
        columns, rows = os.get_terminal_size(SCREEN)
    except OSError:
        return Size()
    return Size(columns or Size().columns, rows or Size().rows)


def relay(remote: Remote, look: Callable[[], None]) -> None:
    """Pass keys and output on until the remote program ends.

    ``look`` is called all the time: it plays the machine, and raises if the system stops. What the
    system prints goes to the terminal as it is, as with ssh: that is what a terminal is for.
    """
    news = select.poll()
    news.register(KEYS, select.POLLIN)
    news.register(remote.fileno(), select.POLLIN)
    size = size_of_screen()
    with _raw_keys():
        while True:
            look()
            ready = {fd for fd, _ in news.poll(LOOK_SECONDS * 1000)}
            if remote.fileno() in ready:
                output = remote.read()
                if not output:
                    return
                _write(output)
            if KEYS in ready:
                keys = os.read(KEYS, _PIECE)
                if not keys:  # the user's terminal has gone
                    return
                remote.write(keys)
            if (now := size_of_screen()) != size:
                size = now
                remote.resize(size)


def _write(output: bytes) -> None:
    while output:
        output = output[os.write(SCREEN, output) :]


@contextmanager
def _raw_keys() -> Iterator[None]:
    """Every key goes to the system, Ctrl-C, too."""
    before = termios.tcgetattr(KEYS)
    try:
        tty.setraw(KEYS)
        yield
    finally:
        termios.tcsetattr(KEYS, termios.TCSADRAIN, before)
