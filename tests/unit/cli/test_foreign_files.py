"""``zharness dump info``, ``check`` and ``compare`` with foreign files: one clear line."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.dump.byte_source import File
from harness.dump.detect import open_dump
from harness.errors import EvidenceError, ExitCode
from tests.support.command_line.zharness import zharness
from tests.support.dumps import user_core
from tests.support.evidence import MEMORY, written
from tests.support.kernels.crashed_kernel import CrashedKernel


def x86_core() -> bytes:
    """An x86-64 vmcore: one PT_NOTE, one PT_LOAD, little-endian."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    note = struct.pack("<IIQQQQQQ", 4, 0, 0x1000, 0, 0, 0, 0, 4)
    load = struct.pack("<IIQQQQQQ", 1, 7, 0x1000, 0xFFFF888000001000, 0x1000, 0x1000, 0x1000, 0)
    return (header + note + load).ljust(0x2000, b"\0")


def x86_kdump() -> bytes:
    """A kdump-compressed dump of the same."""
    utsname = b"".join(name.ljust(65, b"\0") for name in (b"Linux", b"h", b"6.1", b"#1", b"x86_64"))
    header = b"KDUMP   " + struct.pack("<I", 6) + utsname.ljust(390, b"\0") + bytes(6)
    return (header + struct.pack("<QQII", 0, 0, 1, 4096)).ljust(0x2000, b"\0")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "an x86 vmcore": (lambda path: path.write_bytes(x86_core()), "foreign: e_ident"),
    "a process's core": (
        lambda path: path.write_bytes(user_core.core()),
        "is the core of a process in user space",
    ),
    "an x86 process's core": (
        lambda path: path.write_bytes(user_core.core(user_core.X86_64, user_core.GCORE)),
        "is the core of a process in user space",
    ),
    "an x86 kdump": (lambda path: path.write_bytes(x86_kdump()), "foreign: little-endian"),
    "nothing": (Path.touch, "is empty"),
    "a directory": (Path.mkdir, "is a directory, not a dump"),
    "gzip": (
        lambda path: path.write_bytes(gzip.compress(CrashedKernel().elf()[:4096])),
        "compressed with gzip: decompress it first",
    ),
    "a FIFO": (a_fifo, "is neither a regular file nor a block device"),
    "a device": (
        lambda path: path.symlink_to("/dev/zero"),
        "is neither a regular file nor a block device",
    ),
    "text": (lambda path: path.write_text("dump.elf\n"), "no dump: offset 0 holds"),
}


@pytest.mark.parametrize("command", ["info", "check", "compare"])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_one_error_line(tmp_path: Path, name: str, command: str):
    make, message = FOREIGN[name]
    path = tmp_path / "foreign"
    make(path)
    done = zharness("dump", command, path, *([path] if command == "compare" else []))
    assert (done.returncode, done.stdout) == (ExitCode.ERROR, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"zharness: {path}: ")
    assert message in line


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path):
    path = written(tmp_path / "dump.elf", CrashedKernel().elf())
    with open_dump(path) as dump:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(EvidenceError, match=f"{path}: became shorter while it was read"):
            dump.read(0, MEMORY)
        with pytest.raises(EvidenceError, match=f"{path}: became shorter while it was read"):
            list(dump.data_ranges())


@pytest.mark.parametrize(
    ("command", "code"),
    [("info", ExitCode.PASS), ("check", ExitCode.FAIL), ("compare", ExitCode.ERROR)],
)
def test_commands_say_that_the_file_has_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, command: str, code: ExitCode
):
    """Truncated after its headers were read: ``info`` says what is missing, ``check`` is red."""
    path = written(tmp_path / "dump.elf", CrashedKernel().elf())
    whole, upto = path.stat().st_size, File.upto

    def shrinking(file: File, at: int, size: int) -> bytes:
        if at > whole // 2:
            os.truncate(path, whole // 2)
        return upto(file, at, size)

    monkeypatch.setattr(File, "upto", shrinking)
    files = [str(path)] * (2 if command == "compare" else 1)
    monkeypatch.setattr("sys.argv", ["zharness", "dump", command, *files])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    told = capsys.readouterr()
    assert "became shorter while it was read" in (told.err if command == "compare" else told.out)
