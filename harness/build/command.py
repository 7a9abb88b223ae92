"""Running the tools that build images."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import BuildError, HostError

PACKAGES = {  # Debian package of each tool
    "apt-get": "apt",
    "bc": "bc",
    "bison": "bison",
    "ccache": "ccache",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "flex": "flex",
    "gcc": "gcc libc6-dev",
    "make": "make",
    "mke2fs": "e2fsprogs",
    "s390x-linux-gnu-gcc": "gcc-s390x-linux-gnu",
    "setpriv": "util-linux",
    "sfdisk": "fdisk",
    "tar": "tar",
    "xz": "xz-utils",
}

_ERROR = re.compile(r"\berror\b|^E:|\bfailed\b|cannot|No such file|\*\*\*", re.IGNORECASE)
_SUPER_USER_DIRS = "/usr/sbin:/sbin"  # where Debian keeps sfdisk and mke2fs


@dataclass(frozen=True)
class Tools:
    """Runs tools for one image; all they print goes to ``log``. They die with this process."""

    log: Path
    what: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Run to the end, handing each line of output to ``on_line``.

        Raises HostError if the tool is missing, BuildError with its first error line if it
        fails.
        """
        program = find_tool(argv[0])
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", program, *argv[1:]],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        first_error = last = ""
        try:
            with self.log.open("a") as log, child:
                log.write(f"$ {' '.join(argv)}\n")
                assert child.stdout is not None
                for line in child.stdout:
                    log.write(line)
                    last = line.strip() or last
                    if not first_error and _ERROR.search(line):
                        first_error = line.strip()
                    if on_line is not None:
                        on_line(line)
        except BaseException:
            os.killpg(child.pid, 9)
            raise
        if child.returncode:
            raise self.failure(argv[0], first_error or last or f"exit status {child.returncode}")

    def failure(self, tool: str, line: str) -> BuildError:
        """The error for a tool that said ``line`` and failed; keeps the log for the user."""
        kept = Path(os.environ.get("TMPDIR", "/tmp")) / f"zharness-{self.what}.log"  # noqa: S108 - a log for the user to read
        shutil.copyfile(self.log, kept)
        return BuildError(f"cannot build {self.what}: {tool}: {line}", hint=f"see {kept}")


def find_tool(name: str) -> str:
    """Path of a tool; raises HostError that says which package has it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SUPER_USER_DIRS}")
    if found is None:
        package = PACKAGES.get(name, name)
        raise HostError(f"{name} is not installed", hint=f"apt-get install {package}")
    return found
