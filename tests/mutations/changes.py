"""How a dump is broken: each of these makes a function that changes what is on the disk."""

from __future__ import annotations

import struct
from dataclasses import replace

from harness.s390x.cpu import CpuState
from harness.s390x.zipl import cksm
from tests.mutations.mutation import Change
from tests.mutations.right import LAST, MIB, STORED, Broken, dump
from tests.support.evidence import MEMORY, PAGE, superblock

BUSY = b"zfcpdump busy\0".ljust(PAGE, b"\0")  # what the dump tool writes first, overwrites last


def flipped(address: int, mask: int = 0xFF) -> Change:
    """Bits of the byte at an absolute address."""

    def change(broken: Broken) -> None:
        broken.data[broken.at(address)] ^= mask

    return change


def flipped_in_file(offset: int, mask: int = 0xFF) -> Change:
    """Bits of the byte at an offset; a negative one counts from the end."""

    def change(broken: Broken) -> None:
        broken.data[offset] ^= mask

    return change


def memory(address: int, data: bytes) -> Change:
    """Other bytes from an absolute address on."""

    def change(broken: Broken) -> None:
        at = broken.at(address)
        broken.data[at : at + len(data)] = data

    return change


def copied(source: int, target: int, size: int = PAGE) -> Change:
    """Memory at ``target`` has the content of that at ``source``."""

    def change(broken: Broken) -> None:
        start = broken.at(source)
        memory(target, bytes(broken.data[start : start + size]))(broken)

    return change


def swapped(one: int, other: int) -> Change:
    """Two pages."""

    def change(broken: Broken) -> None:
        pages = [bytes(broken.data[broken.at(at) :][:PAGE]) for at in (one, other)]
        memory(one, pages[1])(broken)
        memory(other, pages[0])(broken)

    return change


def field(offset: int, form: str, *values: int) -> Change:
    """Other values of header fields in the file; ``form`` as for struct."""

    def change(broken: Broken) -> None:
        struct.pack_into(form, broken.data, offset, *values)

    return change


def reversed_bytes(offset: int, widths: tuple[int, ...]) -> Change:
    """Adjacent numbers in the file as a little-endian machine would have them."""

    def change(broken: Broken) -> None:
        at = offset
        for width in widths:
            broken.data[at : at + width] = broken.data[at : at + width][::-1]
            at += width

    return change


def cut(offset: int) -> Change:
    """The file ends there; a negative offset counts from its end."""

    def change(broken: Broken) -> None:
        del broken.data[offset:]

    return change


def whole_dump(data: bytes) -> Change:
    """Another dump, and the superblock that fits."""
    return lambda broken: broken.rewrite(data)


def zero_file(broken: Broken) -> None:
    broken.data[:] = bytes(len(broken.data))


def zero_memory(broken: Broken) -> None:
    memory(0, bytes(MEMORY))(broken)


def with_cpus(*cpus: CpuState) -> Change:
    """Other notes of CPUs than those of the crash."""
    return whole_dump(dump("elf", cpus=cpus))


def second_cpu(**changed: object) -> Change:
    return with_cpus(STORED[0], replace(STORED[1], **changed))


def superblock_field(offset: int, value: int) -> Change:
    def change(broken: Broken) -> None:
        struct.pack_into(">Q", broken.block, offset, value)

    return change


def busy_checksum(broken: Broken) -> None:
    """As it was when the busy marker stood at the dump's beginning."""
    superblock_field(64, cksm(BUSY))(broken)


def never_begun(broken: Broken) -> None:
    """The first page is still the busy marker."""
    broken.data[:PAGE] = BUSY


def wrecked_disk(broken: Broken) -> None:
    """Nothing leads to the superblock any more."""
    broken.sector = bytes(512)


def onto_older(older: bytes, written: int) -> Change:
    """An older dump of the partition, over which only so many bytes of the new one were written."""

    def change(broken: Broken) -> None:
        new = bytes(broken.data[:written])
        broken.data[:] = new + older[written:]
        broken.block[:] = superblock(bytes(broken.data))

    return change


def patched(data: bytes, at: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + len(by) :]


def stop_marker_lost(broken: Broken) -> None:
    """Of the only segment that has one."""
    at = broken.data.index(struct.pack(">3Q", 2 * MIB, 2 * MIB, LAST))
    struct.pack_into(">Q", broken.data, at + 16, 0)


def superblock_lost(broken: Broken) -> None:
    broken.block[:] = bytes(len(broken.block))
