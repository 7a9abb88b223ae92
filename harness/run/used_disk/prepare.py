"""Put what a scenario wants on the run's copy of the dump disk, before the dump."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.disk.look_for_files import look_for
from harness.errors import HarnessError, UsageError
from harness.evidence.known_files import KnownFile, KnownFiles
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.used_disk.content import known_files, older_dumps
from harness.run.used_disk.damage import damage
from harness.run.used_disk.editor import Editor
from harness.scenario.model import Dump

_SPARE = 2 << 20  # bytes that older dumps leave
_OVERHEAD = 64  # this part of a file, as 1/n, for the blocks that tell where its blocks are
_LEAST = 1 << 20  # bytes of an older dump


def prepare(disk: Path, dump: Dump, into: Path) -> None:
    """Use the disk as ``dump`` says, and record its files in the directory ``into``.

    Does nothing for a scenario without known files. Raises UsageError if the disk has no room,
    HarnessError if the files are not there afterwards.
    """
    if dump.files is None:
        return
    into.mkdir(parents=True, exist_ok=True)
    number = files_partition(dump)
    with TemporaryDirectory(prefix="log-", dir=disk.parent) as logs:
        editor = Editor(disk, number, dump.sector_size, Path(logs) / "log")
        if dump.beside is not None:
            editor.make_file_system()
        known = editor.write(known_files(dump.files))
        editor.link()
        if dump.older_dumps:
            directory = ChosenTool.of(dump).tool.destination(dump.parmline).directory
            size = (editor.free_bytes - _SPARE) // dump.older_dumps
            size -= size // _OVERHEAD
            if size < _LEAST:
                raise UsageError(
                    f"{dump.older_dumps} older dumps have no room on the dump disk",
                    hint="choose a larger dump.disk_size",
                )
            known += editor.write(older_dumps(dump.files, directory, dump.older_dumps, size))
        known = _found(disk, number, dump.sector_size, known)
        damage(editor, dump.damage)
    KnownFiles(before=known).save(into)


def look_again(disk: Path, dump: Dump, into: Path) -> None:
    """Record what became of the known files; nothing if there are none."""
    known = KnownFiles.load(into)
    if known is not None:
        after = look_for(disk, files_partition(dump), known.before, dump.sector_size)
        KnownFiles(before=known.before, after=after).save(into)


def files_partition(dump: Dump) -> int:
    """The number of the partition with the known files."""
    if (beside := dump.place.neighbour_number) is not None:
        return beside
    where = ChosenTool.of(dump).tool.destination(dump.parmline)
    return where.partition or dump.partition


def _found(
    disk: Path, number: int, sector_size: int, wanted: Sequence[KnownFile]
) -> list[KnownFile]:
    """The files with their inodes; debugfs does not tell whether it has written one."""
    there = {file.path: file for file in look_for(disk, number, wanted, sector_size)}
    for file in wanted:
        found = there[file.path]
        if (found.size, found.sha256) != (file.size, file.sha256):
            why = found.fault or "it is not there as it was written"
            raise HarnessError(f"debugfs did not write {file.path} to the dump disk: {why}")
    return [file.model_copy(update={"inode": there[file.path].inode}) for file in wanted]
