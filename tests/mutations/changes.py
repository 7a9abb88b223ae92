"""The ways to break a dump: each function returns a function that changes the disk."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from harness.s390x.cpu import CpuState
from harness.s390x.zipl import cksm
from tests.mutations.mutation import Change
from tests.mutations.right import LAST, MIB, STORED, VMCOREINFO, Broken, dump, memory_of
from tests.support.evidence import MEMORY, PAGE, superblock
from tests.support.kernels.crashed_kernel import CrashedKernel

BUSY = b"zfcpdump busy\0".ljust(PAGE, b"\0")  # the dump tool writes it first and overwrites it last


def flipped(address: int, mask: int = 0xFF) -> Change:
    """Invert bits of the byte at an absolute address."""

    def change(broken: Broken) -> None:
        broken.data[broken.at(address)] ^= mask

    return change


def flipped_in_file(offset: int, mask: int = 0xFF) -> Change:
    """Invert bits of the byte at an offset; a negative one counts from the end."""

    def change(broken: Broken) -> None:
        broken.data[offset] ^= mask

    return change


def memory(address: int, data: bytes) -> Change:
    """Replace the bytes from an absolute address on."""

    def change(broken: Broken) -> None:
        at = broken.at(address)
        broken.data[at : at + len(data)] = data

    return change


def copied(source: int, target: int, size: int = PAGE) -> Change:
    """Copy memory from ``source`` to ``target``."""

    def change(broken: Broken) -> None:
        start = broken.at(source)
        memory(target, bytes(broken.data[start : start + size]))(broken)

    return change


def swapped(one: int, other: int) -> Change:
    """Swap two pages."""

    def change(broken: Broken) -> None:
        pages = [bytes(broken.data[broken.at(at) :][:PAGE]) for at in (one, other)]
        memory(one, pages[1])(broken)
        memory(other, pages[0])(broken)

    return change


def field(offset: int, form: str, *values: int) -> Change:
    """Change header fields in the file; ``form`` as for struct."""

    def change(broken: Broken) -> None:
        struct.pack_into(form, broken.data, offset, *values)

    return change


def reversed_bytes(offset: int, widths: tuple[int, ...]) -> Change:
    """Reverse the bytes of adjacent numbers in the file, as on a little-endian machine."""

    def change(broken: Broken) -> None:
        at = offset
        for width in widths:
            broken.data[at : at + width] = broken.data[at : at + width][::-1]
            at += width

    return change


def cut(offset: int) -> Change:
    """Truncate the file at an offset; a negative offset counts from its end."""

    def change(broken: Broken) -> None:
        del broken.data[offset:]

    return change


def whole_dump(data: bytes) -> Change:
    """Write another dump and its superblock."""
    return lambda broken: broken.rewrite(data)


def zero_file(broken: Broken) -> None:
    broken.data[:] = bytes(len(broken.data))


def zero_memory(broken: Broken) -> None:
    memory(0, bytes(MEMORY))(broken)


def of_crash(
    *,
    memory: Sequence[tuple[int, int]] = (),
    lines: Mapping[str, int] = MappingProxyType({}),
    **layout: int,
) -> Change:
    """Another crash and its right dump: the kernel itself says something else.

    ``memory`` are addresses and u64s, ``lines`` are lines of VMCOREINFO, ``layout`` is os_info's.
    """

    def change(broken: Broken) -> None:
        note = VMCOREINFO
        for name, value in lines.items():
            pattern = rf"^{re.escape(name)}=.*$".encode()
            note, count = re.subn(pattern, f"{name}={value:x}".encode(), note, flags=re.MULTILINE)
            assert count == 1
        changed = bytearray(memory_of(CrashedKernel(vmcoreinfo=note, layout=layout)))
        for at, value in memory:
            struct.pack_into(">Q", changed, at, value)
        broken.crash_again(bytes(changed), note)

    return change


def with_cpus(*cpus: CpuState) -> Change:
    """Write a dump with the notes of other CPUs."""
    return whole_dump(dump("elf", cpus=cpus))


def second_cpu(**changed: object) -> Change:
    return with_cpus(STORED[0], replace(STORED[1], **changed))


def superblock_field(offset: int, value: int) -> Change:
    def change(broken: Broken) -> None:
        struct.pack_into(">Q", broken.block, offset, value)

    return change


def busy_checksum(broken: Broken) -> None:
    """Set the checksum of a dump that begins with the busy marker."""
    superblock_field(64, cksm(BUSY))(broken)


def never_begun(broken: Broken) -> None:
    """Set the first page to the busy marker."""
    broken.data[:PAGE] = BUSY


def wrecked_disk(broken: Broken) -> None:
    """Remove the boot record, so that the superblock cannot be found."""
    broken.sector = bytes(512)


def onto_older(older: bytes, written: int) -> Change:
    """Keep only the first ``written`` bytes; the rest is from an older dump of the partition."""

    def change(broken: Broken) -> None:
        new = bytes(broken.data[:written])
        broken.data[:] = new + older[written:]
        broken.block[:] = superblock(bytes(broken.data))

    return change


def patched(data: bytes, at: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + len(by) :]


def stop_marker_lost(broken: Broken) -> None:
    """Remove the stop marker from the only segment that has it."""
    at = broken.data.index(struct.pack(">3Q", 2 * MIB, 2 * MIB, LAST))
    struct.pack_into(">Q", broken.data, at + 16, 0)


def superblock_lost(broken: Broken) -> None:
    broken.block[:] = bytes(len(broken.block))
