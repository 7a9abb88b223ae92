"""The table of workloads: what a system does when it crashes.

A workload is data: a command that is typed, or a script that runs in the background, and a command
that prints its counter. The counter moves only while the system works, so two readings prove that
it does. Every workload was tested with Linux 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.triggers.lockup import LOCK_LAST_CPU, VACATE_LAST_CPU
from harness.triggers.rows import named
from harness.triggers.system_kind import EVERYWHERE, FULL, MINIMAL, SystemKind

MIB = 1 << 20

# in the system: what belongs to a workload that is a script
DIRECTORY = "/run/zharness"
COUNTER = f"{DIRECTORY}/counter"
CONTENT_LIST = f"{DIRECTORY}/content.list"
CONTENT_SEED = 1

_SCRIPTS = "system/workloads"  # below images/


@dataclass(frozen=True)
class Workload:
    """What the system does when it crashes.

    ``command`` is typed, and ends when the workload is running. Otherwise there is a script, which
    runs in the background: its path is ``script``, below ``images/``, or a user's own path if
    ``given``. The script gets the name of its counter's file in $ZHARNESS_COUNTER.

    ``counter`` is a shell command that prints a number, which grows while the workload works.

    It works on ``systems``, with at least ``cpus`` CPUs and ``memory`` bytes, if the kernel has
    ``options``. ``content``: it leaves files of a known content, and their list (CONTENT_LIST).
    """

    name: str
    summary: str
    command: str = ""
    counter: str = f"cat {COUNTER}"
    script: str = ""
    given: bool = False
    systems: frozenset[SystemKind] = EVERYWHERE
    cpus: int = 1
    memory: int = 0
    options: tuple[str, ...] = ()
    content: bool = False

    def identity(self, script_digest: str = "") -> dict[str, Any]:
        """JSON: what determines what the system does; a stored crash's name depends on it.

        ``script_digest`` tells the content of the script, if there is one.
        """
        said = {"name": self.name, "summary": self.summary, "command": self.command}
        return said | {"script": script_digest} if self.script else said

    def require(self, system: SystemKind, cpus: int, memory: int) -> None:
        """Raises ValueError, beginning with the field of the schema that does not fit."""
        if system not in self.systems:
            there = ", ".join(each.name for each in WORKLOADS.values() if system in each.systems)
            raise ValueError(
                f"workload: {self.name} does not run on a {system.value} system; there are: {there}"
            )
        if cpus < self.cpus:
            raise ValueError(f"smp: workload {self.name} needs {self.cpus} CPUs")
        if memory < self.memory:
            raise ValueError(f"memory: workload {self.name} needs {self.memory // MIB}M")


def _spin(cpus: str) -> str:
    return (
        f"for cpu in $(seq 0 $(({cpus} - 1))); do "
        "taskset $(printf %x $((1 << cpu))) sh -c 'while :; do :; done' & done; "
    )


# ticks that the last of these processes has computed: proc_pid_stat(5), utime
_SPUN = "awk '{print $14}' /proc/$!/stat"
# ticks that all processes have computed: proc_stat(5), user
_COMPUTED = "awk '/^cpu / {print $2}' /proc/stat"


def _script(name: str, summary: str, **more: Any) -> Workload:
    return Workload(name, summary, script=f"{_SCRIPTS}/{name}", **more)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "busy",
            "every CPU computes",
            _spin("$(nproc)") + "echo busy: $(nproc) CPUs",
            _SPUN,
            systems=MINIMAL,
        ),
        Workload(
            "irqs-off",
            "the last CPU loops with interrupts off, every other one computes",
            # kernel messages on the console, and all output after them, would wait for a timer
            # of the CPU that takes no interruptions (drivers/s390/char/sclp_vt220.c)
            f"{VACATE_LAST_CPU}; " + _spin("last") + f"dmesg -n 1; usleep 300000; {LOCK_LAST_CPU}",
            _COMPUTED,
            systems=MINIMAL,
            cpus=2,
        ),
        _script("fork-storm", "every CPU forks processes that end at once"),
        _script("many-cpus", "a process on each CPU computes and writes a file", cpus=2),
        _script("interrupts", "CPUs wake and interrupt each other; a disk is read, too"),
        _script("page-cache", "100 files of known content are in the page cache", content=True),
        _script(
            "fsync",
            "writers wait for the disk (fsync), on several file systems",
            systems=FULL,
            options=("CONFIG_BLK_DEV_LOOP", "CONFIG_EXT4_FS"),
        ),
        _script(
            "memory-pressure",
            "memory is short, and pages are swapped to compressed memory (zram)",
            systems=FULL,
            options=("CONFIG_SWAP", "CONFIG_ZRAM"),
        ),
        _script(
            "loopback",
            "data go through TCP connections to the machine itself",
            systems=FULL,
            options=("CONFIG_INET",),
        ),
    )
}


def workload_of(word: str) -> Workload:
    """The workload called ``word``, or the user's own script if it is a path (with a slash).

    Raises UsageError that lists all workloads.
    """
    if "/" in word:
        return Workload(
            word.rpartition("/")[2], "a script of the user's own", script=word, given=True
        )
    try:
        return named(word, "workload", WORKLOADS)
    except UsageError as error:
        raise UsageError(error.message, hint=f"{error.hint}; a script's path has a slash") from None
