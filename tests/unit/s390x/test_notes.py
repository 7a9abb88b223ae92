from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.s390x.cpu import CpuState
from harness.s390x.notes import NT_PRFPREG, NT_PRSTATUS, Note, cpu_states, misfits
from harness.s390x.notes import cpu_notes as written_notes
from tests.support.evidence import cpu_notes
from tests.support.strategies import cpu_states as any_cpu

KINDS = (0x1, 0x2, 0x301, 0x302, 0x303, 0x304, 0x305)


def notes_of(cpu: CpuState, *, vector: bool = True) -> list[Note]:
    """The notes' bytes taken apart again."""
    data, found, at = cpu_notes(cpu, vector=vector), [], 0
    while at < len(data):
        name_size, size, kind = struct.unpack_from(">3I", data, at)
        start = at + 12 + (name_size + 3 & ~3)
        found.append(Note(kind, data[start : start + size]))
        at = start + (size + 3 & ~3)
    return found


@given(st.lists(any_cpu, max_size=3))
def test_states_come_back_in_file_order(cpus: list[CpuState]):
    assert cpu_states(note for cpu in cpus for note in notes_of(cpu)) == tuple(cpus)


@given(any_cpu)
def test_without_notes_vector_registers_are_unknown(cpu: CpuState):
    (state,) = cpu_states(notes_of(cpu, vector=False))
    assert state == replace(cpu, vxrs_low=None, vxrs_high=None)


def test_foreign_notes_are_skipped(cpu: CpuState):
    notes = [Note(3, b"prpsinfo"), *notes_of(cpu), Note(0, b"OSRELEASE=6.12\n")]
    assert cpu_states(notes) == (cpu,)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_missing_note_is_named(cpu: CpuState, kind: int):
    notes = [note for note in notes_of(cpu) if note.type != kind]
    assert list(misfits(notes)) == [
        f"CPU 0: ELF note {kind:#x} is missing: these registers are unknown"
    ]
    (state,) = cpu_states(notes)
    assert not isinstance(state, CpuState)
    assert len(state.unknown) == (2 if kind == NT_PRFPREG else 1)


def test_prstatus_alone_gives_its_registers(cpu: CpuState):
    notes = notes_of(cpu)[:1]
    (state,) = cpu_states(notes)
    assert (state.psw_mask, state.psw_addr) == (cpu.psw_mask, cpu.psw_addr)
    assert (state.gprs, state.acrs) == (cpu.gprs, cpu.acrs)
    assert state.to_json().keys() == {"psw_mask", "psw_addr", "gprs", "acrs"}
    assert list(misfits(notes)) == [
        "CPU 0: ELF notes 0x2, 0x301, 0x302, 0x303, 0x304, 0x305 are missing: these registers are "
        "unknown"
    ]


@given(any_cpu, st.sets(st.sampled_from(KINDS[1:])))
def test_what_is_unknown_is_not_written(cpu: CpuState, without: set[int]):
    (state,) = cpu_states(note for note in notes_of(cpu) if note.type not in without)
    written = [note for _, note in written_notes(state, 1)]
    assert not without & {note.type for note in written}
    assert cpu_states(written) == (state,)


@pytest.mark.parametrize("kind", KINDS)
def test_short_note_is_named(cpu: CpuState, kind: int):
    notes = [
        Note(note.type, note.desc[:3]) if note.type == kind else note for note in notes_of(cpu)
    ]
    with pytest.raises(ValueError, match=f"CPU 0: ELF note {kind:#x} has only 3 bytes"):
        cpu_states(notes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_note_with_more_than_its_registers_is_read_and_named(cpu: CpuState, kind: int):
    notes = [
        Note(note.type, note.desc + bytes(4)) if note.type == kind else note
        for note in [*notes_of(cpu), *notes_of(cpu)]
    ]
    assert cpu_states(notes) == (cpu, cpu)
    named = [] if kind == NT_PRSTATUS else [f"CPU {at}: ELF note {kind:#x}" for at in (0, 1)]
    assert [message.partition(" has ")[0] for message in misfits(notes)] == named


def test_second_cpu_does_not_borrow_from_the_first(cpu: CpuState):
    notes = [*notes_of(cpu), next(note for note in notes_of(cpu) if note.type == NT_PRSTATUS)]
    _, second = cpu_states(notes)
    assert second.crs is second.fprs is second.prefix is second.vxrs_high is None
    assert [message.partition(",")[0] for message in misfits(notes)] == ["CPU 1: ELF notes 0x2"]


@given(st.lists(st.builds(Note, st.sampled_from([*KINDS, 0, 3]), st.binary(max_size=400))))
def test_arbitrary_notes_raise_nothing_but_value_error(notes: list[Note]):
    try:
        states = cpu_states(notes)
    except ValueError:
        return
    assert len(states) == sum(note.type == NT_PRSTATUS for note in notes)
