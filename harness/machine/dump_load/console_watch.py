"""Watch a dump system's console: is the system alive, and how did it end?"""

from __future__ import annotations

from collections.abc import Callable

from harness import clock
from harness.dump_tools.tool import DumpTool


class ConsoleWatch:
    """Gets every console line, from the console's own thread; any thread may read."""

    def __init__(self, tool: DumpTool, forward: Callable[[str], None] | None = None) -> None:
        self._tool, self._forward = tool, forward
        self.result_line: str | None = None
        self.succeeded = False  # whether the tool printed that the dump is complete
        self.last_line = clock.now()

    def line(self, text: str) -> None:
        """Take one line, without line end."""
        self.last_line = clock.now()
        if self._tool.is_result(text):
            self.result_line, self.succeeded = text, self._tool.is_success(text)
        if self._forward is not None:
            self._forward(text)
