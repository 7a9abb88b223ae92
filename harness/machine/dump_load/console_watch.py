"""Watch a dump system's console: is the system alive, and how did it end?"""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness import clock
from harness.deadline import Deadline
from harness.dump_tools.tool import DumpTool, Said


class ConsoleWatch:
    """Gets every console line, from the console's own thread; any thread may read."""

    def __init__(self, tool: DumpTool, forward: Callable[[str], None] | None = None) -> None:
        self._tool, self._forward = tool, forward
        self.result_line: str | None = None
        self.succeeded = False  # whether the tool printed that the dump is complete
        self.last_line = clock.now()
        self._has_result = threading.Event()

    def line(self, text: str) -> None:
        """Take one line, without line end."""
        self.last_line = clock.now()
        if (said := self._tool.result(text)) is not None:
            self.result_line, self.succeeded = text, said is Said.COMPLETE
            self._has_result.set()
        if self._forward is not None:
            self._forward(text)

    def wait_result(self, deadline: Deadline) -> None:
        """Until the tool's result line has come, or the deadline has passed."""
        deadline.wait(self._has_result.wait)
