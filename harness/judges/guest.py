"""The guest in which a tool of s390x judges a dump.

It has two SCSI disks: the dump, and one for results. Of each call of the tool, ``WHAT``, the second
one gets the exit status (``WHAT.status``) and the messages (``WHAT.err``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.dump.disk.ext_files import FileSystem
from harness.errors import EvidenceError, HostError
from harness.images.command import Tools
from harness.images.guest_job import run_job
from harness.qemu.process import console_path
from harness.qemu.spec import MachineSpec

JOB = "judge"
PARMLINE = "console=ttysclp0 panic=0 quiet scsi_mod.scan=manual"


@dataclass(frozen=True)
class Said:
    """One call of a tool: its exit ``status``, and the ``text`` it printed."""

    status: int
    text: str


def make_results(results: Path, size: int, content: Path | None = None) -> None:
    """A new disk image of ``size`` bytes for results, with the files of the directory ``content``.

    Raises BuildError and HostError if it cannot be made.
    """
    with results.open("xb") as file:
        file.truncate(size)
    # few inodes, no journal: what the file system takes for itself grows with its size
    shape = ("-O", "^has_journal", "-N", "64", "-m", "0", "-E", "lazy_itable_init=1")
    options = ("-q", "-F", "-t", "ext4", *shape)
    files = () if content is None else ("-d", str(content))
    Tools(results.with_suffix(".log"), "a disk for results").run(
        ["mke2fs", *options, *files, str(results)]
    )


def let_judge(tool: str, spec: MachineSpec, directory: Path, seconds: float) -> None:
    """Run the guest to its end, at most ``seconds``; raises HostError if it does not do its job."""
    complaint = run_job(spec, directory, JOB, seconds)
    if complaint is not None:
        log = console_path(directory).read_text(errors="replace")
        raise HostError(f"the guest that runs {tool} failed: {complaint}\n{log[-500:]}")


@dataclass(frozen=True)
class Results:
    """What ``tool`` left on the disk for results."""

    tool: str
    files: FileSystem

    def said(self, what: str) -> Said:
        """Raises EvidenceError if the call of this name has left nothing."""
        status = self.text(f"{what}.status").strip()
        if not status.isdigit():
            raise EvidenceError(f"{self.tool}'s results: {what}.status holds {status!r}")
        return Said(int(status), self.text(f"{what}.err").strip())

    def text(self, name: str) -> str:
        """The content of a file; raises EvidenceError if there is none."""
        text = self.text_if_there(name)
        if text is None:
            raise EvidenceError(f"{self.tool}'s results: no {name}")
        return text

    def text_if_there(self, name: str) -> str | None:
        file = self.files.find(name)
        if file is None:
            return None
        content = self.files.content(file)
        return content.read(0, content.size).decode(errors="replace")
