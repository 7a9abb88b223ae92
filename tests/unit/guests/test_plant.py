"""The program that plants content, images/crash/plant, on this host: its choices and writes."""

from __future__ import annotations

import mmap
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.verify.planted_layout import HEADER_SIZE, Header, Kind
from tests.support.guests.planting import PAGE, PLANT, SEED, FakeGuest, plant, writing
from tests.support.strategies import unsigned

MIB_FRAMES = (1 << 20) // PAGE


def entries_of(frames: list[int | None], flags: int = plant.PRESENT | 1 << 56):
    """A pagemap for a mapping of these frames, wherever it is; None is an absent page."""
    words = [0 if frame is None else flags | frame for frame in frames]
    start: list[int] = []

    def pagemap(address: int, pages: int) -> bytes:
        start[:] = start or [address]
        first = (address - start[0]) // PAGE
        return struct.pack(f"{pages}Q", *words[first : first + pages])

    return pagemap


def area_of(frames: list[int | None], **options):
    mapping = mmap.mmap(-1, len(frames) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area = plant.Area(writing.ANONYMOUS, mapping, entries_of(frames, **options))
    area.pagemap(area.address, 1)  # so that it knows where the mapping begins
    return area


# choosing


@given(st.sets(st.integers(0, 200)))
def test_runs_are_the_numbers(numbers):
    runs = plant.runs(sorted(numbers))
    assert [at for first, count in runs for at in range(first, first + count)] == sorted(numbers)
    ends = [first + count for first, count in runs[:-1]]
    assert all(end < first for end, (first, _) in zip(ends, runs[1:], strict=True))


@given(st.lists(st.integers(1, 300), unique=True, min_size=1), st.sets(st.integers(1, 300)))
def test_frames_are_found(frames, wanted):
    found = area_of(frames).find(wanted)
    assert found == {frame: page for page, frame in enumerate(frames) if frame in wanted}


def test_frames_are_found_in_a_mapping_of_several_chunks(monkeypatch):
    monkeypatch.setattr(plant, "CHUNK", 3)
    frames = [7, 5, 9, 1, 2, 40, 30]
    assert area_of(frames).find({2, 30, 7, 8}) == {7: 0, 2: 4, 30: 6}


@given(st.sets(st.integers(0, 19)))
def test_only_the_kept_pages_stay(kept):
    area = area_of(list(range(1, 21)))
    area.mapping[:] = b"x" * len(area.mapping)
    area.keep(sorted(kept))
    there = {page for page in range(20) if area.mapping[page * PAGE] == ord("x")}
    assert there == kept


@given(st.sets(st.integers(0, 9)))
def test_only_the_scrubbed_pages_are_zero(scrubbed):
    area = area_of(list(range(1, 11)))
    area.mapping[:] = b"x" * len(area.mapping)
    plant.Guest().scrub(area, sorted(scrubbed))
    for page in range(10):
        assert bytes(area.page(page)) == (b"\0" if page in scrubbed else b"x") * PAGE


def test_an_absent_page_is_refused():
    with pytest.raises(plant.PlantError, match="taken away"):
        area_of([1, None, 3]).frames(range(3))


def test_a_pagemap_without_frames_is_refused():
    with pytest.raises(plant.PlantError, match="not root"):
        area_of([0, 0]).frames(range(2))


@given(st.integers(1, 3000), st.sets(st.integers(0, 64 * MIB_FRAMES), max_size=400))
def test_the_chosen_pages_are_ours_and_near_the_boundary(mib, ours):
    places = plant.Places(mib * MIB_FRAMES)
    chosen = places.choose(ours)
    assert chosen <= ours
    for side in places.sides:
        near = [frame for frame in side if frame in ours]
        assert chosen.issuperset(near[: plant.PER_SIDE])
    for sample in places.samples:
        assert not ours.intersection(sample) or chosen.intersection(sample)


@pytest.mark.parametrize(
    ("mib", "boundaries"),
    [(16, []), (17, [16]), (256, [16, 32, 64, 128]), (3072, [16 << at for at in range(8)])],
)
def test_boundaries_lie_within_memory(mib, boundaries):
    places = plant.Places(mib * MIB_FRAMES)
    assert [boundary // MIB_FRAMES for boundary in places.boundaries] == boundaries
    assert max(places.wanted()) < mib * MIB_FRAMES


# writing


@given(
    unsigned(64),
    st.sampled_from([kind for kind in Kind if kind is not Kind.LEDGER]),
    st.integers(0, 1),
    st.integers(0, 1000),
    st.integers(0, 1 << 40),
    st.integers(HEADER_SIZE, PAGE),
)
def test_the_check_expects_what_was_written(seed, kind, flags, index, address, size):
    size = size if kind is Kind.MESSAGE else PAGE
    place = bytearray(size)
    writer = writing.Writer(seed, None)
    writer._content(memoryview(place), int(kind), flags, index, index + 1, address)
    assert bytes(place) == Header(kind, flags, seed, index, index + 1, address, size).content()


def test_everything_is_planted():
    guest = FakeGuest().plant()
    assert guest.calls.index("settle") == 0
    assert guest.calls.index("lock") < guest.calls.index("compact")
    said = "\n".join(guest.said)
    for name in writing.NAMES.values():
        assert name in said or name == "ledger"
    assert guest.said[-1].startswith("planted ")
    assert guest.said[-1].endswith(f" pages, {len(writing.MESSAGES)} messages")


def test_the_same_seed_plants_the_same():
    assert FakeGuest().plant().image() == FakeGuest().plant().image()
    assert FakeGuest().plant().image() != FakeGuest().plant(SEED + 1).image()


def test_a_header_is_nowhere_but_in_its_place():
    """Least of all in the buffer that messages are sent from."""
    buffers = []

    class Watched(FakeGuest):
        def send(self, queue, buffer, size):
            buffers.append(buffer)
            return super().send(queue, buffer, size)

    Watched().plant()
    assert buffers
    assert all(writing.MAGIC not in bytes(buffer) for buffer in buffers)


def test_no_block_device_and_no_messages():
    guest = FakeGuest(has_block_device=False, has_messages=False).plant()
    assert "page cache of a block device: there is none" in guest.said
    assert guest.said[-1].endswith(" 0 messages")


def test_messages_fill_slab_objects_and_fit_a_queue():
    for size in writing.MESSAGE_SIZES:
        assert size > HEADER_SIZE
        assert 48 + size in (128, 192, 256, 512, 1024, 2048, 4096)
        assert size * writing.PER_QUEUE <= 16384


def test_pages_that_move_are_noticed():
    class Moving(FakeGuest):
        def send(self, queue, buffer, size):
            first = self.mappings[0].frames
            first[0], first[1] = first[1], first[0]
            self.has_messages = False  # send once
            return False

    with pytest.raises(plant.PlantError, match="moved"):
        Moving().plant()


@pytest.mark.parametrize("arguments", [[], ["x"], ["-1"], [str(1 << 64)], ["1", "2"]])
def test_wrong_usage_is_one_line(arguments):
    done = subprocess.run(
        [sys.executable, PLANT, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"usage: plant SEED, a number from 0 to {(1 << 64) - 1}\n"


def test_it_refuses_to_run_anywhere_else(monkeypatch, tmp_path):
    monkeypatch.setattr(plant, "BALLAST", str(tmp_path / "absent"))
    with pytest.raises(plant.PlantError, match="not started by plant-start"):
        plant.Guest().settle()
