"""A reader accepts a damaged file, or refuses it with an error that names the file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import EvidenceError
from tests.fuzz import attempt as attempts
from tests.fuzz.attempt import Result, attempt, memory_limit
from tests.fuzz.campaign import campaign, input_of
from tests.fuzz.commands import all_commands
from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import Reader, all_readers

READERS = {reader.name: reader for reader in all_readers()}
COMMANDS = {command.name: command for command in all_commands()}
INPUTS = 200  # of each reader; python -m tests.fuzz makes as many as one likes
COMMAND_INPUTS = 100


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_damaged_is_accepted(tmp_path: Path, name: str):
    for seed in READERS[name].seeds:
        assert attempt(READERS[name].read, seed.content, tmp_path / "right.img") == (
            Result.ACCEPTED,
            "",
        )


@pytest.mark.parametrize("name", READERS)
def test_damaged_input_is_accepted_or_refused(tmp_path: Path, name: str):
    with memory_limit():
        tally = campaign(READERS[name], 390, range(INPUTS), tmp_path)
    assert tally.escapes == []
    assert tally.results.total() == INPUTS
    assert tally.results[Result.REFUSED] > 0


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_damaged_input_or_refuses_it(tmp_path: Path, name: str):
    command = COMMANDS[name]
    for seed in command.seeds:
        outcome = attempt(command.read, seed.content, tmp_path / "right.img")
        assert outcome.result is not Result.ESCAPED, outcome.why
    with memory_limit():
        tally = campaign(command, 390, range(COMMAND_INPUTS), tmp_path)
    assert tally.escapes == []
    assert tally.results.total() == COMMAND_INPUTS
    assert tally.results[Result.ACCEPTED] > 0


@settings(suppress_health_check=list(HealthCheck), max_examples=150)
@given(st.sampled_from(list(READERS)), st.randoms(use_true_random=False))
def test_damage_raises_no_other_exception(tmp_path: Path, name: str, source: random.Random):
    reader = READERS[name]
    data = mutated(source.choice(reader.seeds), source)
    assert attempt(reader.read, data, tmp_path / "damaged.img").result is not Result.ESCAPED


def test_an_input_is_known_by_its_number():
    reader = READERS["elf"]
    assert input_of(reader, 1, 7) == input_of(reader, 1, 7)
    assert input_of(reader, 1, 7) != input_of(reader, 1, 8)


def fail_with(error: Exception):
    def read(_: bytes, __: Path) -> None:
        raise error

    return read


@pytest.mark.parametrize("error", [ValueError("odd"), EvidenceError("which file?"), MemoryError()])
def test_any_other_error_is_an_escape(tmp_path: Path, error: Exception):
    reader = Reader("bad", fail_with(error), READERS["elf"].seeds)
    tally = campaign(reader, 1, range(3), tmp_path)
    assert [number for number, _ in tally.escapes] == [0, 1, 2]
    assert tally.row("bad").startswith("| bad | 3 | 0 | 0 | 3 | ")


def test_an_endless_read_is_an_escape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def spin(_: bytes, __: Path) -> None:
        while True:
            pass

    monkeypatch.setattr(attempts, "CPU_SECONDS", 0.05)
    outcome = attempt(spin, b"", tmp_path / "any")
    assert outcome.result is Result.ESCAPED
    assert "TooLongError" in outcome.why


def test_memory_without_bounds_is_an_escape(tmp_path: Path):
    with memory_limit():
        outcome = attempt(lambda _, __: bytearray(1 << 30), b"", tmp_path / "any")
    assert outcome.result is Result.ESCAPED
    assert "MemoryError" in outcome.why


@pytest.mark.parametrize(("told", "damaged"), [(b"(17):720", b"(17):%d"), (b"(17)", b"(%d)")])
def test_block_beyond_any_file_system_is_refused(tmp_path: Path, told: bytes, damaged: bytes):
    reader = READERS["debugfs"]
    data = reader.seeds[0].content.replace(told, damaged % (1 << 70))
    outcome = attempt(reader.read, data, tmp_path / "disk.img")
    assert outcome.result is Result.REFUSED
    assert "/dump.0: blocks" in outcome.why
    assert "are more than a file system has" in outcome.why
