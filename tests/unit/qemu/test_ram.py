from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import EvidenceError, HostError
from harness.qemu.ram import CHUNK, PAGE, GuestRam, memory_on_disk

SIZE = 4 * CHUNK


@pytest.fixture
def ram() -> Iterator[GuestRam]:
    with GuestRam.create(SIZE) as memory:
        yield memory


def meminfo(path: Path, mib: int) -> Path:
    path.write_text(f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: {mib << 10} kB\n")
    return path


def test_read_write_map_and_fd_are_the_same(ram: GuestRam):
    ram.write(0x1FFE, b"abcd")
    assert ram.read(0x1FFE, 4) == b"abcd"
    assert ram.map[0x1FFE:0x2002] == b"abcd"
    assert os.pread(ram.fd, 4, 0x1FFE) == b"abcd"
    assert (ram.size, len(ram.map)) == (SIZE, SIZE)


@pytest.mark.parametrize(("address", "size"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2), (0, -1)])
def test_an_address_outside_of_memory_is_refused(ram: GuestRam, address: int, size: int):
    with pytest.raises(ValueError, match="are not in a memory of"):
        ram.read(address, size)
    if size > 0:
        with pytest.raises(ValueError, match="are not in a memory of"):
            ram.write(address, bytes(size))


def test_closed_twice_and_for_good():
    ram = GuestRam.create(PAGE)
    ram.close()
    ram.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(ram.fd)


@pytest.mark.parametrize("size", [0, -PAGE, PAGE + 1])
def test_impossible_sizes(size: int):
    with pytest.raises(ValueError, match="not a number of pages"):
        GuestRam.create(size)


def test_too_little_memory_says_how_much(tmp_path: Path):
    host = meminfo(tmp_path / "meminfo", 500)
    with pytest.raises(HostError, match=r"512 MiB needs 640 MiB .* this host has 500 MiB"):
        GuestRam.create(512 << 20, meminfo=host)
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(HostError, match="1024 MiB needs 1152 MiB"):
        GuestRam.from_image(image, meminfo=host)


def test_just_enough_memory(tmp_path: Path):
    with GuestRam.create(PAGE * 256, meminfo=meminfo(tmp_path / "meminfo", 129)) as ram:
        assert ram.size == 1 << 20
    with pytest.raises(HostError):
        GuestRam.create(PAGE * 256, meminfo=meminfo(tmp_path / "meminfo", 128))


def test_unknown_memory(tmp_path: Path):
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    with pytest.raises(HostError, match="does not tell MemAvailable"):
        GuestRam.create(PAGE, meminfo=tmp_path / "meminfo")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(0, SIZE // PAGE - 1), st.binary(min_size=1, max_size=64)))
def test_save_and_load(tmp_path_factory: pytest.TempPathFactory, pages: dict[int, bytes]):
    path = tmp_path_factory.mktemp("ram") / "ram.img"
    with GuestRam.create(SIZE) as ram:
        for page, data in pages.items():
            ram.write(page * PAGE + PAGE - len(data), data)
        ram.save(path)
        expected = ram.read(0, SIZE)
    assert path.read_bytes() == expected
    with GuestRam.from_image(path) as copy:
        assert copy.read(0, SIZE) == expected


def test_zero_pages_are_not_stored(ram: GuestRam, tmp_path: Path):
    ram.write(0, bytes(2 * CHUNK))  # there, but zero
    ram.write(CHUNK + 5 * PAGE, b"x")
    path = tmp_path / "ram.img"
    ram.save(path)
    assert path.stat().st_size == SIZE
    assert path.stat().st_blocks * 512 == PAGE


def test_holes_stay_holes(ram: GuestRam, tmp_path: Path):
    ram.write(3 * CHUNK, b"x" * PAGE)
    path = tmp_path / "ram.img"
    ram.save(path)
    assert os.fstat(ram.fd).st_blocks * 512 == PAGE  # to save reads nothing into being
    with GuestRam.from_image(path) as copy:
        assert os.fstat(copy.fd).st_blocks * 512 == PAGE


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The nearest thing to a full file system that needs no mount."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def test_no_space_names_path_and_bytes(ram: GuestRam, tmp_path: Path):
    path = tmp_path / "ram.img"
    ram.write(2 * CHUNK, b"x" * (10 * PAGE))
    with (
        file_size_limit(CHUNK),
        pytest.raises(HostError, match=rf"{path}: it needs {10 * PAGE} bytes"),
    ):
        ram.save(path)
    assert not path.exists()


def test_no_space_in_the_middle(ram: GuestRam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ram.write(0, b"x" * CHUNK)
    real = os.pwrite
    calls: list[int] = []

    def fill_up(fd: int, data: memoryview, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[: 3 * PAGE], offset)  # a short write, too

    monkeypatch.setattr(os, "pwrite", fill_up)
    with pytest.raises(HostError, match=f"it needs {CHUNK} bytes"):
        ram.save(tmp_path / "ram.img")
    assert calls == [0, 3 * PAGE]
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(ram: GuestRam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = bytes(range(1, 256)) * 257
    ram.write(0, data)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, piece, at: real(fd, piece[:1000], at))
    ram.save(tmp_path / "ram.img")
    assert (tmp_path / "ram.img").read_bytes()[: len(data)] == data


def test_what_is_there_is_not_overwritten(ram: GuestRam, tmp_path: Path):
    path = tmp_path / "ram.img"
    path.write_text("precious")
    with pytest.raises(HostError, match="cannot be written: File exists"):
        ram.save(path)
    assert path.read_text() == "precious"


def test_not_an_image(tmp_path: Path):
    path = tmp_path / "image"
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        GuestRam.from_image(path)
    for size in (0, PAGE - 1):
        path.write_bytes(bytes(size))
        with pytest.raises(EvidenceError, match=f"not a memory image: {size} bytes"):
            GuestRam.from_image(path)


def test_memory_is_filled_from_an_image_of_its_size(tmp_path):
    image = tmp_path / "ram.img"
    content = bytes(PAGE) + b"x" * PAGE
    image.write_bytes(content)
    with GuestRam(2 * PAGE) as ram:
        ram.fill(image)
        assert ram.read(0, 2 * PAGE) == content


def test_an_image_of_another_size_fills_no_memory(tmp_path):
    image = tmp_path / "ram.img"
    image.write_bytes(bytes(PAGE))
    with GuestRam(2 * PAGE) as ram, pytest.raises(EvidenceError, match="4096 bytes"):
        ram.fill(image)
    with GuestRam(PAGE) as ram, pytest.raises(EvidenceError, match="cannot be read"):
        ram.fill(tmp_path / "none")


def test_memory_on_a_disk_has_no_name_there_and_need_not_fit(tmp_path: Path):
    with (
        memory_on_disk(tmp_path),
        GuestRam.create(4 * PAGE, meminfo=meminfo(tmp_path / "meminfo", 0)) as ram,
    ):
        there = os.fstat(ram.fd)
        assert (there.st_dev, there.st_nlink, there.st_size) == (
            tmp_path.stat().st_dev,
            0,
            ram.size,
        )
        ram.write(PAGE, b"x")
        assert os.pread(ram.fd, 2, PAGE) == b"x\0"
        ram.save(tmp_path / "image")
    with memory_on_disk(tmp_path), GuestRam.from_image(tmp_path / "image") as ram:
        assert ram.read(PAGE - 1, 3) == b"\0x\0"
    assert {path.name for path in tmp_path.iterdir()} == {"meminfo", "image"}
    with memory_on_disk(None), pytest.raises(HostError, match="free memory"):
        GuestRam.create(4 * PAGE, meminfo=meminfo(tmp_path / "meminfo", 0))


def test_a_directory_in_which_no_memory_can_lie(tmp_path: Path):
    with memory_on_disk(tmp_path / "none"), pytest.raises(HostError, match="guest memory") as error:
        GuestRam(PAGE)
    assert "--store" in (error.value.hint or "")
