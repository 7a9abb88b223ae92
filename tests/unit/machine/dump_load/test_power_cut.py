"""What is left on a disk after a power cut follows from the record of its writes."""

from __future__ import annotations

import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.machine.dump_load.power_cut import Record, RecordFiles, Write

BLOCK = 512
MAGIC, DISCARD, FLUSH = 0x6A736677736872, 4, 1
BLOCKS = 16  # of the disk
OTHER_LUN = "scsi_req_parsed target 0 lun 5 tag 1 command 42 dir 2 length 512\n"


def entry(sector: int, data: bytes, flags: int = 0) -> bytes:
    count = len(data) // BLOCK
    return struct.pack("<QQQQ", sector, count, flags, 0).ljust(BLOCK, b"\0") + data


def make(directory: Path, steps: list[tuple[int, bytes] | None]) -> RecordFiles:
    """Files of a record: a write (sector, data), or a flush (None)."""
    files = RecordFiles(directory)
    entries, trace = [], [OTHER_LUN]
    for step in steps:
        entries.append(entry(0, b"", FLUSH))  # QEMU's own, whenever it stops the machine
        if step is None:
            trace.append("7@1.5:scsi_req_parsed target 0 lun 0 tag 9 command 53 dir 0 length 0\n")
            continue
        sector, data = step
        entries.append(entry(sector, data))
        length = len(data)
        trace.append(f"scsi_req_parsed target 0 lun 0 tag 9 command 42 dir 2 length {length}\n")
    head = struct.pack("<QQQI", MAGIC, 1, len(entries), BLOCK).ljust(BLOCK, b"\0")
    files.log.write_bytes(head + b"".join(entries))
    files.trace.write_text("".join(trace))
    files.before.write_bytes(bytes(BLOCKS * BLOCK))
    return files


def block(byte: int, blocks: int = 1) -> bytes:
    return bytes([byte]) * BLOCK * blocks


STEPS = [(0, block(1)), (4, block(2, 2)), None, (0, block(3)), (8, block(4, 2)), None]


def left(files: RecordFiles, cut: int, seed: int) -> bytes:
    image = files.directory / "disk.img"
    files.record(0).leave(files.before, image, cut, seed)
    return image.read_bytes()


def test_writes_and_flushes_are_the_guests(tmp_path: Path):
    record = make(tmp_path, STEPS).record(0)
    assert record.flushes == (2, 4)
    assert [(write.offset, write.size) for write in record.writes] == [
        (0, BLOCK),
        (4 * BLOCK, 2 * BLOCK),
        (0, BLOCK),
        (8 * BLOCK, 2 * BLOCK),
    ]


@pytest.mark.parametrize(
    ("cut", "there"), [(1, {}), (2, {0: 1, 4: 2, 5: 2}), (3, {0: 1, 4: 2, 5: 2}), (4, {0: 3, 8: 4})]
)
def test_in_the_worst_case_only_what_was_flushed_is_there(tmp_path: Path, cut, there):
    content = left(make(tmp_path, STEPS), cut, 0)
    for sector, byte in there.items():
        assert content[sector * BLOCK : (sector + 1) * BLOCK] == block(byte)
    if cut < 4:
        assert not any(content[8 * BLOCK :])
    if cut < 2:
        assert not any(content)


def test_the_same_seed_leaves_the_same(tmp_path: Path):
    files = make(tmp_path, [(at, block(at + 1)) for at in range(BLOCKS)])
    states = {left(files, BLOCKS, seed) for seed in range(1, 20)}
    assert len(states) > 5, "chance has many ways"
    assert left(files, BLOCKS, 7) == left(files, BLOCKS, 7)


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.tuples(st.integers(0, BLOCKS - 2), st.integers(1, 255), st.integers(1, 2)),
        ),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_every_block_has_a_content_that_was_written_and_what_was_flushed_is_there(steps, data):
    given_steps = [step and (step[0], block(step[1], step[2])) for step in steps]
    with TemporaryDirectory() as name:
        files = make(Path(name), given_steps)
        record = files.record(0)
        cut = data.draw(st.integers(0, len(record.writes)))
        content = left(files, cut, data.draw(st.integers(0, 5)))
    possible: list[set[int]] = [{0} for _ in range(BLOCKS)]
    written = [step for step in steps if step is not None]
    for number, (sector, byte, blocks) in enumerate(written[:cut]):
        for at in range(sector, sector + blocks):
            if number < record.flushed(cut):
                possible[at] = {byte}
            else:
                possible[at].add(byte)
    for at, bytes_there in enumerate(possible):
        found = set(content[at * BLOCK : (at + 1) * BLOCK])
        assert len(found) == 1, "a sector is not torn"
        assert found <= bytes_there


def test_a_cut_behind_the_last_write_did_not_happen(tmp_path: Path):
    with pytest.raises(HarnessError, match="write=5 did not happen: the dump system made 4 writes"):
        left(make(tmp_path, STEPS), 5, 0)


@pytest.mark.parametrize("damage", ["short", "magic", "cut", "trace"])
def test_a_record_that_is_not_whole_is_an_error(tmp_path: Path, damage: str):
    files = make(tmp_path, STEPS)
    content = files.log.read_bytes()
    if damage == "short":
        files.log.write_bytes(content[:10])
    elif damage == "magic":
        files.log.write_bytes(b"x" + content[1:])
    elif damage == "cut":
        files.log.write_bytes(content[: 3 * BLOCK])
    else:
        files.trace.write_text("")
    with pytest.raises(HarnessError):
        files.record(0)


def test_a_discard_has_no_data(tmp_path: Path):
    files = make(tmp_path, [(0, block(1))])
    head = struct.pack("<QQQI", MAGIC, 1, 2, BLOCK).ljust(BLOCK, b"\0")
    discarded = struct.pack("<QQQQ", 4, 8, DISCARD, 0).ljust(BLOCK, b"\0")
    files.log.write_bytes(head + discarded + entry(0, block(1)))
    assert files.record(0).writes == (Write(0, BLOCK, 3 * BLOCK),)
    assert isinstance(files.record(0), Record)
