"""Commands on dumps need little memory and time for every file, or refuse it clearly."""

from __future__ import annotations

import resource
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from harness.dump.collect import collect_file
from harness.dump.detect import open_dump
from harness.dump.disk.debugfs import CpuTime
from harness.dump.guard import guarded
from harness.errors import EvidenceError, LimitError, UsageError
from harness.files.vmlinux import build_id_of
from harness.images.kernel import image as kernel_image
from harness.images.kernel.build import foreign_kernel, require_crash_dump
from harness.limits import VARIABLE, Limits, limits, memory_for, multiplied, seconds_for
from harness.progress import NoProgress
from tests.support.command_line.costs import assert_bounded, cost_of
from tests.support.command_line.dump_commands import COMMANDS
from tests.support.disks.ext import partition_table
from tests.support.dumps import hostile
from tests.support.dumps.hostile import MIB, ONE_PAGE, SHAPES, elf

GIB = 1 << 30
# the commands that had problems with a file; the nightly tests run all commands
HARD = {
    "adjacent PT_LOADs": ("check",),
    "PT_LOADs in reverse": ("compare",),
    "overlapping PT_LOADs": ("compare", "convert"),
    "p_memsz of 2^63": ("check",),
    "sparse 8 TiB": ("check", "compare"),
    "log of shared text": ("check", "extract"),
    "s390 of 2^63": ("check",),
    "s390 of 2^64": ("compare",),
    "GPT of empty partitions": ("info",),
    "endless logical partitions": ("check",),
}
REFUSED = {
    "many notes": ("info", "has 65537 notes, the limit is 65536"),
    "64 MiB of notes": ("check", "has 64000000 bytes of notes (p_filesz), the limit is"),
    "600 CPUs": ("compare", "has 600 CPUs, the limit is 512"),
    "VMCOREINFO of 10 MB": ("info", "bytes of VMCOREINFO, the limit is 1048576"),
    "log of 2^24 records": ("check", "has 16777216 records in the kernel's log, the limit is"),
    "kdump of alternate pages": ("info", "has more runs of pages than a dump, the limit is"),
    "flattened bytes": ("info", "has more records than makedumpfile makes, the limit is"),
    "lkcd of alternate pages": ("compare", "has more runs of pages than a dump, the limit is"),
    "entries of 64 MiB": ("check", "has 67108864 bytes in an entry (zlib_entry_size), the limit"),
    "circular blocks": ("check", "makes debugfs answer 'stat <12>' with more bytes, the limit is"),
    "GPT of circular blocks": ("info", "with more bytes, the limit is"),
}


@pytest.fixture
def file(tmp_path: Path):
    """The path for a hostile file; it is removed, because it may be large."""
    path = tmp_path / "hostile.img"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(("shape", "command"), [(s, c) for s, cs in HARD.items() for c in cs])
def test_a_command_stays_within_bounds(file: Path, shape: str, command: str):
    SHAPES[shape](file)
    assert_bounded(cost_of("dump", *COMMANDS[command](file)))


@pytest.mark.parametrize("shape", REFUSED)
def test_impossible_sizes_are_refused_clearly(file: Path, shape: str):
    command, message = REFUSED[shape]
    SHAPES[shape](file)
    cost = cost_of("dump", *COMMANDS[command](file))
    assert_bounded(cost)
    assert cost.code == 3
    (line,) = [line for line in cost.errors.splitlines() if line.startswith("zharness: ")]
    assert message in line
    assert "--limit-factor (or ZHARNESS_LIMIT_FACTOR) raises it" in line


def test_a_kernel_that_unpacks_without_end_is_refused(tmp_path: Path):
    path = tmp_path / "bzImage"
    hostile.bomb_kernel(path)
    assert path.stat().st_size < 4 * MIB
    data = kernel_image.check(path)
    cost = cost_of("config", "check", path)
    assert cost.code == 3
    assert_bounded(cost)
    assert "unpacks to more bytes, the limit is 268435456" in cost.errors
    with pytest.raises(LimitError, match="unpacks to more bytes"):
        kernel_image.can_dump(data, "kernel")
    with multiplied(2):
        assert kernel_image.can_dump(data, "kernel") is False


def test_a_kernel_larger_than_any_is_refused(tmp_path: Path):
    path = tmp_path / "bzImage"
    hostile.bomb_kernel(path)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(LimitError, match=r"has 1099511627776 bytes, the limit is 134217728"):
        foreign_kernel(path)


def test_a_kernel_full_of_beginnings_is_refused(tmp_path: Path):
    path = tmp_path / "bzImage"
    hostile.bomb_kernel(path)
    path.write_bytes(path.read_bytes()[:0x10500] + b"BZh9" * 100_000)
    with pytest.raises(LimitError, match="more places that look like a compressed kernel"):
        require_crash_dump(foreign_kernel(path))


def test_a_vmlinux_of_nothing_but_notes_is_refused(tmp_path: Path):
    path = tmp_path / "vmlinux"
    elf(path, ONE_PAGE, notes=hostile.TINY_NOTE * 1_000_000)
    with pytest.raises(LimitError, match="bytes of notes, the limit is 1048576"):
        build_id_of(path)


def test_thousands_of_dumps_take_a_few_processes(file: Path):
    SHAPES["many dump.N"](file)
    cost = cost_of("dump", "info", file)
    assert_bounded(cost)
    assert cost.seconds < 8  # it was one process for each file, 5 ms or more
    assert "dump.7999: is empty" in cost.errors


def test_a_collector_stays_within_bounds(file: Path, tmp_path: Path):
    SHAPES["circular blocks"](file)
    inside = file.read_bytes()
    file.write_bytes(partition_table((1, len(inside) // 512)) + inside)
    collected = collect_file(file, 1, tmp_path, NoProgress())
    assert collected.size is None
    assert "makes debugfs answer 'stat <12>' with more bytes" in collected.note


def test_debugfs_has_its_time(monkeypatch: pytest.MonkeyPatch):
    time = CpuTime()
    assert time.left("disk") == limits().debugfs_seconds + 1
    monkeypatch.setattr("harness.dump.disk.debugfs._of_children", lambda: 1e6)
    with pytest.raises(LimitError, match="disk: keeps debugfs busy longer"):
        time.left("disk")


# raising limits


def test_a_factor_raises_every_limit(file: Path):
    SHAPES["600 CPUs"](file)
    with open_dump(file) as dump:
        with pytest.raises(LimitError):
            _ = dump.cpus
        with multiplied(2):
            assert len(dump.cpus) == 600


@pytest.mark.parametrize("how", ["option", "variable"])
def test_users_can_raise_them(file: Path, how: str, monkeypatch: pytest.MonkeyPatch):
    SHAPES["600 CPUs"](file)
    option = ["--limit-factor", "2"] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv(VARIABLE, "2")
    assert cost_of("dump", "info", file, *option).code == 0


@pytest.mark.parametrize("factor", ["0", "-1", "much", "1.5", str(1 << 30)])
def test_a_senseless_factor_is_a_usage_error(factor: str, monkeypatch: pytest.MonkeyPatch):
    cost = cost_of("dump", "info", "any", "--limit-factor", factor)
    assert cost.code == 2
    assert "is no whole number from 1 to" in cost.errors
    monkeypatch.setenv(VARIABLE, factor)
    with pytest.raises(UsageError, match=f"{VARIABLE}: '{factor}' is no whole number"):
        limits()


def test_a_large_file_may_take_more():
    assert seconds_for(64 * MIB) == seconds_for(0) == Limits().seconds
    assert memory_for(64 * MIB) == Limits().memory
    assert seconds_for(100 * GIB) > 10_000
    assert seconds_for(GIB, GIB) - seconds_for(0) == 2 * (seconds_for(GIB) - seconds_for(0))
    with multiplied(3):
        assert seconds_for(0) == 3 * Limits().seconds


# the last line of defence


def test_too_much_memory_is_refused(tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    message = r"dump\.x: needs more memory, in MiB, the limit is 220"
    with pytest.raises(LimitError, match=message), guarded(tmp_path / "dump.x"):
        bytearray(1 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_too_much_time_is_refused_until_somebody_listens(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("harness.dump.guard.seconds_for", lambda *_: 0.05)

    def spin() -> None:
        while True:
            pass

    def spin_twice() -> None:
        with suppress(EvidenceError):  # as those do who take a damaged part for a missing one
            spin()
        spin()

    message = r"dump\.x: takes more CPU time, in seconds, the limit is"
    with pytest.raises(LimitError, match=message), guarded(tmp_path / "dump.x"):
        spin_twice()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_within_bounds_nothing_happens(tmp_path: Path):
    with guarded(tmp_path / "dump.x"):
        assert len(bytearray(100 * MIB)) == 100 * MIB
