"""Start a workload, and prove that the system is in the middle of it."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.deadline import Deadline
from harness.errors import HarnessError, UsageError
from harness.files.plain_file import read_plain
from harness.host.fault import unusable
from harness.host.paths import data_dir, require_file
from harness.machine.system.shell import Shell
from harness.printable import printable
from harness.triggers.known_content import known_content
from harness.triggers.workloads import (
    CONTENT_LIST,
    CONTENT_SEED,
    COUNTER,
    DIRECTORY,
    Workload,
)

# in the system; not below /run, where nothing can be executed (mount option noexec)
_HOME = "/var/lib/zharness"
_SCRIPT, _LOG, _PID = f"{_HOME}/workload", f"{DIRECTORY}/log", f"{DIRECTORY}/pid"

_ENDED = "zharness: workload ended"
_COUNTED = re.compile(r"(?m)zharness: counter +(\d{1,18})\r?$")
_LISTED = re.compile(r"([0-9a-f]{64}) +(\d{1,8}) (/var/lib/zharness/content/(\d{3}))")
MAX_LIST = 1 << 16  # bytes
MAX_FILE = 16 << 20
MAX_SCRIPT = 1 << 20
_SHOWN = 400  # characters of what a script said


@dataclass(frozen=True)
class ContentFile:
    """A file that the workload wrote; it is in the page cache, and its content is proved."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class AtWork:
    """A workload that works: its counter was ``before``, and then ``after``."""

    name: str
    before: int
    after: int
    files: tuple[ContentFile, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For ``machine.json``, beside the workload's name."""
        counter = {"before": self.before, "after": self.after}
        files = [vars(file) for file in self.files]
        return {"workload_counter": counter} | ({"workload_files": files} if files else {})


def script_of(workload: Workload) -> Path | None:
    """Where the workload's script is on this host; None if it has none."""
    if not workload.script:
        return None
    given = Path(workload.script)
    return given if workload.given else data_dir() / "images" / given


def digest_of(workload: Workload) -> str:
    """SHA-256 of the workload's script, "" if it has none.

    Raises UsageError if it cannot be a script, HostError if it cannot be read.
    """
    script = script_of(workload)
    if script is None:
        return ""
    require_file(script, "workload")
    try:
        with script.open("rb") as file:
            content = file.read(MAX_SCRIPT + 1)
    except OSError as error:
        raise unusable(f"workload {script}", error) from error
    if len(content) > MAX_SCRIPT:
        raise UsageError(f"workload {script} is larger than {MAX_SCRIPT >> 20} MiB")
    if not content.startswith(b"#!"):
        raise UsageError(
            f"workload {script} is no script: its first line does not begin with #!",
            hint="begin it with #!/bin/sh",
        )
    return hashlib.sha256(content).hexdigest()


def start(workload: Workload, shell: Shell, deadline: Deadline) -> AtWork:
    """Start ``workload``, and wait until it works.

    Raises what ``Shell.run`` raises; HarnessError if the workload ends, or if its counter does not
    move before the deadline.
    """
    script = script_of(workload)
    if script is None:
        shell.run(workload.command, deadline)
    else:
        _launch(script, shell, deadline)
    before = _counted(workload, shell, deadline, -1)
    files = _written(shell, deadline) if workload.content else ()
    return AtWork(workload.name, before, _counted(workload, shell, deadline, before), files)


def counted(output: str) -> int | None:
    """The number in what the counter's command printed; None if there is none.

    A kernel message may stand in the middle of that.
    """
    found = _COUNTED.search(output)
    return None if found is None else int(found[1])


def _launch(script: Path, shell: Shell, deadline: Deadline) -> None:
    shell.run(f"mkdir -p {_HOME} {DIRECTORY}", deadline)
    shell.put(script, _SCRIPT, deadline)
    shell.run(f"chmod 0755 {_SCRIPT}; rm -f {COUNTER} {_PID}", deadline)
    shell.run(
        f"ZHARNESS_COUNTER={COUNTER} ZHARNESS_SEED={CONTENT_SEED} "
        f"setsid sh -c 'echo $$ > {_PID}; exec {_SCRIPT}' > {_LOG} 2>&1 < /dev/null &",
        deadline,
    )


def _counted(workload: Workload, shell: Shell, deadline: Deadline, last: int) -> int:
    """The counter, as soon as it is more than ``last``."""
    look = f'echo "zharness: counter $({{ {workload.counter}; }} 2> /dev/null)"'
    if workload.script:
        look += (
            f"; pid=$(cat {_PID} 2> /dev/null); "
            f'[ -z "$pid" ] || kill -0 $pid 2> /dev/null || echo "{_ENDED}"'
        )
    while not deadline.expired:
        output = shell.run(look, deadline)
        if _ENDED in output:
            raise _ended(workload, shell, deadline)
        number = counted(output)
        if number is not None and number > last:
            return number
    raise _stuck(workload, deadline, last)


def _stuck(workload: Workload, deadline: Deadline, last: int) -> HarnessError:
    how = "printed no number" if last < 0 else f"stayed at {last}"
    needs = ", ".join(workload.options)
    return HarnessError(
        f"workload {workload.name}: its counter {how} for {deadline.seconds:.0f} s, so the system "
        "is not in the middle of it",
        hint=f"it needs {needs}" if needs else "a slow host needs --time-factor",
    )


def _ended(workload: Workload, shell: Shell, deadline: Deadline) -> HarnessError:
    said = printable(" / ".join(shell.run(f"tail -n 3 {_LOG}", deadline).split("\n")).strip(" /"))
    needs = ", ".join(workload.options)
    return HarnessError(
        f"workload {workload.name} ended before the system was crashed: "
        f"{said[-_SHOWN:] or 'it said nothing'}",
        hint=f"it needs {needs}" if needs else f"it says why in {_LOG}, in the system",
    )


def _written(shell: Shell, deadline: Deadline) -> tuple[ContentFile, ...]:
    """The files of known content; raises HarnessError if theirs is another."""
    with tempfile.TemporaryDirectory(prefix="zharness-") as directory:
        local = Path(directory) / "list"
        shell.get(CONTENT_LIST, local, deadline)
        text = read_plain(local, MAX_LIST).decode("ascii", errors="replace")
    return tuple(map(_proved, text.splitlines()))


def _proved(line: str) -> ContentFile:
    found = _LISTED.fullmatch(line)
    if found is None or int(found[2]) > MAX_FILE:
        raise HarnessError(f"{CONTENT_LIST} in the system: '{printable(line)}' names no file")
    digest, size, path = found[1], int(found[2]), found[3]
    if hashlib.sha256(known_content(CONTENT_SEED, int(found[4]), size)).hexdigest() != digest:
        raise HarnessError(f"{path} in the system does not have the content that it should")
    return ContentFile(path, size, digest)
