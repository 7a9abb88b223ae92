"""Run the crash utility in a guest, with the dump as its SCSI disk and vmlinux on a second one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.byte_source import File
from harness.dump.disk.ext_files import FileSystem
from harness.dump.formats.kdump.flattened import is_flattened
from harness.dump.formats.table import FORMATS, Takes, format_named
from harness.dump.reader import Dump
from harness.errors import HostError
from harness.images.debian.packages import FOR_ALL_IMAGES, crash_set
from harness.images.initramfs.build import IMAGE
from harness.images.needs import Wanted
from harness.images.provide import OWN_DUMP_KERNEL, Images
from harness.images.store import Store
from harness.judges.crash.output import (
    ActiveTask,
    Process,
    active_tasks,
    facts,
    processes,
    version,
    words,
)
from harness.judges.guest import PARMLINE, Results, Said, let_judge, make_results
from harness.progress import Progress
from harness.qemu.disk import Disk
from harness.qemu.spec import MachineSpec

PAGE = 4096
_WORD = 8
# 98 MB of vmlinux took crash 200 MB and, under TCG on two busy cores, 30 s
MEMORY, MEMORY_PER_VMLINUX = 256 << 20, 3
SECONDS, SECONDS_PER_GIB = 240.0, 1200.0  # for vmlinux; of the dump it reads only some
_SLACK = 64 << 20  # for what it says, and the file system's own tables
_RESULTS, _COMMANDS, _VMLINUX, _DUMP = "results.img", "commands", "vmlinux", "dump"
_DISK = "/dev/sda"
_SYSTEM, _TASK, _STACKS, _PROCESSES, _MEMORY = "system", "task", "stacks", "processes", "memory"
_NOT_STARTED = 126  # and above: not found, or ended by a signal (POSIX sh, "Exit Status")


@dataclass(frozen=True)
class Opinion:
    """What crash says of a dump.

    ``said`` is its end and its messages. The rest is empty if it did not open the dump: ``system``
    and ``panicked`` are the lines of ``sys`` and ``set``, ``active`` is ``bt -a``, ``processes``
    is ``ps`` by address, ``memory`` are words by absolute address.
    """

    version: tuple[int, ...]
    said: Said
    system: Mapping[str, str]
    panicked: Mapping[str, str]
    active: tuple[ActiveTask, ...]
    processes: Mapping[int, Process]
    memory: Mapping[int, bytes]


class Crash:
    """The crash utility of Debian's suite forky, or of another ``suite``, trixie or later.

    Needs the dump kernel and packages; raises BuildError and HostError for those.
    ``time_factor`` multiplies its deadline.
    """

    def __init__(
        self,
        store: Store,
        progress: Progress,
        *,
        suite: str | None = None,
        time_factor: float = 1.0,
    ) -> None:
        self._progress, self._suite, self._factor = progress, suite, time_factor
        self._images = Images(store, progress)

    @property
    def wanted(self) -> Wanted:
        """The packages and kernel of its guest."""
        return Wanted((OWN_DUMP_KERNEL,), (*FOR_ALL_IMAGES, crash_set(self._suite)), machine=True)

    def prepare(self) -> None:
        """Build what is missing, so that it is ready before a run needs it."""
        self._images.provide(self.wanted)
        self._images.crash_judge_initramfs(self._suite)
        self._images.dump_kernel()

    def unknown(self, path: Path, dump: Dump) -> str | None:
        """Why it cannot be asked about ``dump``, which is in the file ``path``; None if it can."""
        if format_named(dump.format).crash is Takes.NEVER:
            known = ", ".join(row.name for row in FORMATS if row.crash is not Takes.NEVER)
            return f"crash knows {known}, not {dump.format}"
        if dump.container:
            with File.open(path) as file:
                if not is_flattened(file):
                    return f"crash finds no dump in {dump.container}"
        return None

    def judge(self, path: Path, form: str, vmlinux: Path, pages: Sequence[int]) -> Opinion:
        """What it says of the dump in the file ``path``, of a format, and of each of ``pages``.

        Raises HostError if the guest does not do its job, or crash did not start or was killed.
        """
        with self._run(path, form, vmlinux, _questions(pages)) as results:
            return opinion_in(results)

    def ask(self, path: Path, form: str, vmlinux: Path, commands: Sequence[str]) -> Said:
        """What it prints for ``commands`` about that dump, and its exit status; else as ``judge``.

        One command is one line.
        """
        with self._run(path, form, vmlinux, commands) as results, File.open(results) as image:
            return _ended(Results("crash", FileSystem(image, 0, image.size)))

    @contextmanager
    def _run(self, path: Path, form: str, vmlinux: Path, commands: Sequence[str]) -> Iterator[Path]:
        """The disk image with its results, during a ``with`` block."""
        guest = self._images.crash_judge_initramfs(self._suite)
        with TemporaryDirectory(prefix="judge-") as scratch:
            directory = Path(scratch)
            results, size = directory / _RESULTS, vmlinux.stat().st_size
            content = {_VMLINUX: vmlinux}
            if as_file := format_named(form).crash is Takes.FROM_FILE:
                content[_DUMP] = path
            with self._progress.task("put vmlinux on a disk"):
                _make_disk(results, directory / "content", content, commands)
            memory = MEMORY + MEMORY_PER_VMLINUX * size
            spec = MachineSpec(
                memory=memory - memory % (1 << 20),
                cpus=1,
                kernel=self._images.dump_kernel().image,
                initrd=guest.path / IMAGE,
                append=f"{PARMLINE} judge.dump={_DUMP if as_file else _DISK}",
                disks=(Disk(path, read_only=True), Disk(results, lun=1)),
            )
            seconds = (SECONDS + SECONDS_PER_GIB * size / (1 << 30)) * self._factor
            with self._progress.task("let crash read it"):
                let_judge("crash", spec, directory, seconds)
            yield results


def _questions(pages: Sequence[int]) -> Sequence[str]:
    """Commands whose answers are an opinion."""
    memory = (f"rd -p -x -64 {page:x} {PAGE // _WORD} >> {_MEMORY}" for page in pages)
    return (
        f"sys > {_SYSTEM}",
        f"set > {_TASK}",
        f"bt -a > {_STACKS}",
        f"ps > {_PROCESSES}",
        *memory,
    )


def _make_disk(
    results: Path, content: Path, files: Mapping[str, Path], commands: Sequence[str]
) -> None:
    """The disk with ``files`` by name, and commands; ``content`` is a directory for a while."""
    content.mkdir()
    for name, file in files.items():
        shutil.copyfile(file, content / name)
    (content / _COMMANDS).write_text("".join(f"{line}\n" for line in (*commands, "quit")))
    size = sum(file.stat().st_size for file in files.values())
    make_results(results, size + _SLACK, content)
    shutil.rmtree(content)


def _ended(told: Results) -> Said:
    """The end of crash; raises HostError if it did not end by itself."""
    said = told.said("crash")
    if said.status >= _NOT_STARTED:
        last = said.text.splitlines()[-1:] or ["nothing"]
        raise HostError(
            f"crash was killed or did not start: its exit status is {said.status}, and it said "
            f"{last[0]!r}"
        )
    return said


def opinion_in(results: Path) -> Opinion:
    """What crash left on the disk image ``results``; HostError if it did not end by itself."""
    with File.open(results) as image:
        told = Results("crash", FileSystem(image, 0, image.size))
        which = version(told.said("version").text)
        said = _ended(told)
        if which is None:
            raise HostError("crash did not start: it does not tell its version")
        system, task, stacks, listed, memory = (
            told.text_if_there(name) or ""
            for name in (_SYSTEM, _TASK, _STACKS, _PROCESSES, _MEMORY)
        )
        return Opinion(
            version=which,
            said=said,
            system=facts(system),
            panicked=facts(task),
            active=active_tasks(stacks),
            processes=processes(listed),
            memory=words(memory),
        )
