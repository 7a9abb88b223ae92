"""A module's code in memory is compared with its file, but for what the kernel changes."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from harness.verify.witnesses.facts import Text
from harness.verify.witnesses.module_file import compare, find
from tests.support.kernels.module import (
    ALLOCATED,
    EXECUTABLE,
    R_390_64,
    R_390_PC32,
    R_390_PLT32DBL,
    Section,
    module,
)

CODE = bytes(range(1, 201))
AT = 0x3FF00000000
TEXT = 1  # number of the section


# struct alt_instr of Linux 6.12, 6.1 and 5.10 (arch/s390/include/asm/alternative.h)
ALTERNATIVES = {13: (">iiIB", (0, 8)), 11: (">iiHB", (0, 8)), 12: (">iiHBB", (0, 8, 8))}


def sections(entry: int = 13) -> list[Section]:
    """A call, a quadword, a traced function, a jump label, two alternatives of eight bytes."""
    form, fields = ALTERNATIVES[entry]
    alternatives = struct.pack(form, 0, 0, *fields) * 2
    assert len(alternatives) == 2 * entry
    return [
        Section(
            ".text",
            CODE,
            ALLOCATED | EXECUTABLE,
            [(2, R_390_PLT32DBL, 0, 0), (16, R_390_64, 0, 0)],
        ),
        Section("__mcount_loc", bytes(8), relocations=[(0, R_390_64, TEXT, 40)]),
        Section("__jump_table", bytes(16), relocations=[(0, R_390_PC32, TEXT, 60)]),
        Section(
            ".altinstructions",
            alternatives,
            relocations=[
                (0, R_390_PC32, TEXT, 80),
                (4, R_390_PC32, 5, 0),
                (entry, R_390_PC32, TEXT, 100),
                (entry + 4, R_390_PC32, 5, 0),
            ],
        ),
        Section(".altinstr_replacement", bytes(16), ALLOCATED),
        Section(".init.text", b"gone", ALLOCATED | EXECUTABLE),
    ]


CHANGED = (*range(2, 6), *range(16, 24), *range(40, 46), *range(60, 66))
REPLACED = (*range(80, 88), *range(100, 108))


@pytest.fixture(params=ALTERNATIVES)
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "kernel/zcrash.ko"
    path.parent.mkdir()
    path.write_bytes(module(sections(request.param)))
    return path


def compared(file: Path, *, changed: tuple[int, ...] = ()) -> Text:
    memory = bytearray(CODE)
    for offset in changed:
        memory[offset] ^= 0xFF

    def read(address: int, size: int) -> bytes:
        return bytes(memory[address - AT : address - AT + size])

    return compare(file, {".text": AT, ".init.text": 0xDEAD}, read)


def test_the_same_code(file):
    assert compared(file) == Text(len(CODE) - len(CHANGED) - len(REPLACED))


def test_what_the_kernel_changes_is_left_out(file):
    assert compared(file, changed=CHANGED + REPLACED).differing == ()


def test_each_other_byte_counts(file):
    for offset in set(range(len(CODE))) - set(CHANGED) - set(REPLACED):
        ((section, at, memory, in_file),) = compared(file, changed=(offset,)).differing
        assert (section, at) == (".text", offset)
        assert memory != in_file


def test_the_first_differences_are_shown(file):
    found = compared(file, changed=(0, 1, 6, 7, 8, 9))
    assert [at for _, at, _, _ in found.differing] == [0, 1, 6, 7]
    assert found.differing[0] == (".text", 0, "fefd03040506f8f7", CODE[:8].hex())


def test_a_compressed_file(file):
    packed = file.with_suffix(".ko.xz")
    packed.write_bytes(lzma.compress(file.read_bytes()))
    assert compared(packed) == compared(file)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"text", bytes(200)])
def test_a_file_that_is_no_module_tells_nothing(file, content):
    file.write_bytes(content)
    found = compared(file)
    assert found.compared == 0
    assert str(file) in found.untold


def test_a_compression_that_is_not_known_tells_nothing(file):
    packed = file.with_suffix(".ko.zst")
    packed.write_bytes(b"x")
    assert compared(packed).untold == f"{packed}: compressed as .zst, which is not read here"


def test_a_module_that_is_not_in_memory_tells_nothing(file):
    assert compare(file, {}, lambda _at, size: bytes(size)).untold == "has no code in memory"


def test_a_file_is_found_by_the_modules_name(file, tmp_path):
    other = tmp_path / "kernel/virtio-rng.ko"
    other.touch()
    assert find(tmp_path, "zcrash") == file
    assert find(tmp_path, "virtio_rng") == other
    assert find(tmp_path, "none") is None
