"""Run the tools that build images."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from harness.errors import BuildError
from harness.host.child import dying_with_us
from harness.host.together import ended_together
from harness.host.tools import find_tool

# error messages of tools, the most specific first: compilers, linkers and apt before make, which
# only says in the end that something failed
_ERRORS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\berror: |^E: |: undefined reference|No space left on device",
        r"\*\*\* |(?i:\berror\b[^.]|\bfailed\b|\bcannot\b)|No such file",
    )
)


@dataclass(frozen=True)
class Tools:
    """Runs tools for one image; their output goes to ``log``. They die with this process."""

    log: Path
    what: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        stdin: str = "",
        statuses: Container[int] = (0,),
    ) -> None:
        """Run a tool to its end; ``on_line`` gets each line of its output.

        It reads ``stdin``. It has not failed if it ends with one of ``statuses``.

        Raises HostError if the tool is missing, BuildError with its first error line if it
        fails.
        """
        command = dying_with_us([find_tool(argv[0]), *argv[1:]])
        environment = {**os.environ, "LC_ALL": "C", **self.environment}
        reason = _Reason()
        with (
            self.log.open("a", buffering=1) as log,
            _spawned(command, cwd, environment, stdin) as child,
        ):
            log.write(f"$ {' '.join(argv)}\n")
            assert child.stdout is not None
            for line in child.stdout:
                log.write(line)
                reason.hear(line)
                if on_line is not None:
                    on_line(line)
            status = child.wait()
        if status not in statuses:
            raise self.failure(argv[0], reason.line or _status(status))

    def note(self, lines: Iterable[str]) -> None:
        """Write lines of our own into the log."""
        with self.log.open("a") as log:
            log.writelines(f"# {line}\n" for line in lines)

    def failure(self, tool: str, line: str) -> BuildError:
        """The error for a tool that printed ``line`` and failed; the store adds the log's path."""
        return BuildError(f"cannot build {self.what}: {tool}: {line}")


class _Reason:
    """Finds the line with the reason in the output of a tool that failed."""

    def __init__(self) -> None:
        self._first: list[str] = ["" for _ in _ERRORS]
        self._last = ""

    def hear(self, line: str) -> None:
        text = line.strip()
        self._last = text or self._last
        for rank, pattern in enumerate(_ERRORS):
            if not self._first[rank] and pattern.search(text):
                self._first[rank] = text
                return

    @property
    def line(self) -> str:
        """The first line of the most specific kind; otherwise the last line; "" without output."""
        return next((line for line in self._first if line), self._last)


@contextmanager
def _spawned(
    command: Sequence[str], cwd: Path | None, environment: Mapping[str, str], stdin: str
) -> Iterator[subprocess.Popen[str]]:
    """A tool in a process group of its own; the whole group is ended afterwards."""
    with TemporaryFile("w+") as source:
        source.write(stdin)
        source.seek(0)
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )

    def kill() -> None:
        if child.returncode is None:  # as far as is known its process id is not reused yet
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    try:
        with ended_together(kill):
            yield child
    except BaseException:
        kill()
        raise
    finally:
        assert child.stdout is not None
        child.stdout.close()
        child.wait()


def _status(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
