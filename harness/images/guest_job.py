"""A guest that does one job, reports the result on its console, and powers off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pexpect

from harness.deadline import Deadline
from harness.errors import QemuDied
from harness.qemu.binary import find_qemu
from harness.qemu.process import Qemu, console_path
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec

PANIC = "Kernel panic"
TAIL_LINES = 20


def run_job(
    spec: MachineSpec,
    directory: Path,
    job: str,
    seconds: float,
    on_line: Callable[[str], None] | None = None,
) -> str | None:
    """Run the guest until it powers off; returns the guest's complaint if its job failed.

    The last line of its /init is ``zharness JOB: ok`` or ``failed``. ``directory`` gets the
    console log; ``on_line`` gets each line of the console, from another thread.
    """
    deadline = Deadline(seconds)
    ends = [f"zharness {job}: ok", f"zharness {job}: failed", PANIC]
    with (
        GuestRam.create(spec.memory) as ram,
        Qemu.start(find_qemu(), spec, ram, directory, name=job, on_line=on_line) as qemu,
    ):
        try:
            found = qemu.console.expect_exact(ends, timeout=deadline.remaining)
        except pexpect.TIMEOUT:
            last = complaint_in(qemu.console.tail(TAIL_LINES))
            return f"not done after {seconds:.0f} s; its last line: {last}"
        except pexpect.EOF:
            qemu.check()
            raise QemuDied(f"the {job} guest's console ended early") from None
        if found != 0:
            return complaint_in(qemu.console.tail(TAIL_LINES))
        if qemu.monitor.wait_event(("SHUTDOWN", "GUEST_PANICKED"), deadline) is None:
            return f"the guest did not power off within {seconds:.0f} s"
    return None


def keep_console(directory: Path, log: Path) -> None:
    """Append the console of the guest that ran in ``directory`` to ``log``."""
    console = console_path(directory)
    if console.is_file():
        with log.open("a", encoding="utf-8") as out:
            out.write(console.read_text(encoding="utf-8"))


def complaint_in(lines: Iterable[str]) -> str:
    """Why the job failed, from the guest's last console lines."""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("zharness ")]
    errors = [line for line in said if line.startswith("Error:") or PANIC in line]
    return (errors or said[-1:] or ["nothing"])[0]
