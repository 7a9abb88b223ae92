"""What a dump system's console tells while it runs: that it lives, and how it ended."""

from __future__ import annotations

from collections.abc import Callable

from harness import clock

RESULT_PREFIX = "zfcpdump result: "  # the dump tool's last word, alone on a console line
RESULT_OK = "ok"


class ConsoleWatch:
    """Gets every console line, from the console's own thread; read from any."""

    def __init__(self, forward: Callable[[str], None] | None) -> None:
        self._forward = forward
        self.result: str | None = None
        self.last_line = clock.now()

    def line(self, text: str) -> None:
        """Take one line, without line end."""
        self.last_line = clock.now()
        if text.startswith(RESULT_PREFIX):
            self.result = text.removeprefix(RESULT_PREFIX)
        if self._forward is not None:
            self._forward(text)

    @property
    def result_line(self) -> str | None:
        return None if self.result is None else RESULT_PREFIX + self.result

    @property
    def succeeded(self) -> bool:
        """Whether the tool said that the dump is complete."""
        return self.result is not None and self.result.split(" ", 1)[0] == RESULT_OK
