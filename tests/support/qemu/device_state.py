"""Sections of a device state, as QEMU migration/savevm.c writes them."""

from __future__ import annotations


def word(value: int) -> bytes:
    return value.to_bytes(4, "big")


def section(name: bytes, instance: int, fields: bytes, number: int = 7) -> bytes:
    """A full section and its footer."""
    header = b"\x04" + word(number) + bytes([len(name)]) + name + word(instance) + word(1)
    return header + fields + b"\x7e" + word(number)


def cpu_section(cpu: int, *, halted: int, request: int, number: int = 7) -> bytes:
    """What tells whether an interruption is pending for ``cpu``."""
    return section(b"cpu_common", cpu, word(halted) + word(request), number)
