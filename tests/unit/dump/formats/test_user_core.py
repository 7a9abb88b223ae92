"""The core of a process is told from the dump of a system."""

from __future__ import annotations

import struct

import pytest

from harness.dump.detect import read_dump
from harness.dump.formats.elf.user_core import refuse_user_core
from harness.errors import EvidenceError, UserSpaceCore
from tests.support.dumps.byte_source import Memory
from tests.support.dumps.user_core import (
    GCORE,
    I386,
    PPC,
    QEMU_USER,
    S390X,
    X86_64,
    Machine,
    Notes,
    core,
)
from tests.support.kernels.crashed_kernel import CrashedKernel

NAME = "some.core"


@pytest.mark.parametrize("notes", [QEMU_USER, GCORE])
@pytest.mark.parametrize("machine", [S390X, X86_64, I386, PPC])
def test_a_core_of_a_process_is_told_as_such(machine: Machine, notes: Notes):
    with pytest.raises(UserSpaceCore, match=r"some\.core: is the core of a process .* NT_AUXV"):
        read_dump(Memory(core(machine, notes), NAME))


OF_SYSTEM: dict[str, Notes] = {
    "VMCOREINFO": (*QEMU_USER, (b"VMCOREINFO\0", 0, 100)),
    "a prefix": (*QEMU_USER, (b"LINUX\0", 0x305, 4)),
    "no note of processes": QEMU_USER[:2],
    "a note of another owner": ((b"SPU/20\0", 6, 8),),
}


@pytest.mark.parametrize("name", OF_SYSTEM)
def test_the_dump_of_a_system_is_not(name: str):
    refuse_user_core(Memory(core(S390X, OF_SYSTEM[name]), NAME))


def test_a_right_dump_is_not():
    refuse_user_core(Memory(CrashedKernel().elf(), NAME))


@pytest.mark.parametrize("machine", [S390X, I386])
def test_a_core_that_was_cut_is_told_if_its_notes_are_there(machine: Machine):
    whole = core(machine)
    told = 0
    for end in range(len(whole) - 4096):
        try:
            read_dump(Memory(whole[:end], NAME))
        except UserSpaceCore:
            told += 1
        except EvidenceError:
            assert not told
    assert told


def test_many_segments_with_notes_take_no_time():
    """Each would be read again, and a table of headers has room for 65,534."""
    notes = struct.pack(">3I", 5, 0, 1) + b"CORE\0\0\0\0"
    body = notes * 50_000
    table = struct.pack(">2I6Q", 4, 4, 64 + 56 * 1024, 0, 0, len(body), len(body), 4) * 1024
    header = bytearray(core()[:64])
    struct.pack_into(">H", header, 56, 1024)
    refuse_user_core(Memory(bytes(header) + table + body, NAME))
