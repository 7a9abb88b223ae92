"""The crashed memory as the kernel shows it: an ELF core file."""

import os
import struct

from .machine import PAGE, DumpError, read_exactly

# ELF (include/uapi/linux/elf.h)
ELF_MAGIC = b"\x7fELF"
PROGRAM_HEADER = struct.Struct(">IIQQQQQQ")
PT_LOAD, PT_NOTE = 1, 4
NOTE_HEADER = struct.Struct(">III")  # sizes of name and descriptor, type
NT_PRSTATUS = 1  # the first note of each CPU


class Core:
    """The core file, of which ``limit`` bytes of memory, or all, are copied."""

    def __init__(self, path, limit=None):
        self.fd = os.open(path, os.O_RDONLY)
        self.first_page = bytearray(read_exactly(self.fd, PAGE, 0))
        if self.first_page[:4] != ELF_MAGIC:
            raise DumpError(f"{path} is not an ELF file")
        (headers_at,) = struct.unpack_from(">Q", self.first_page, 32)
        (count,) = struct.unpack_from(">H", self.first_page, 56)
        self.loads = []  # (offset in the file, absolute address, size)
        self.notes = []  # (offset in the file, size)
        self.size = PAGE
        self.memory_end = 0  # of the machine; the limit does not apply
        for number in range(count):
            self._header(headers_at + number * PROGRAM_HEADER.size, limit)

    def _header(self, at, limit):
        if at + PROGRAM_HEADER.size > PAGE:
            raise DumpError("too many memory ranges: the program headers exceed a page")
        kind, _, offset, _, address, size, _, _ = PROGRAM_HEADER.unpack_from(self.first_page, at)
        if kind == PT_LOAD:
            self.memory_end = max(self.memory_end, address + size)
            if limit is not None:
                size = min(size, max(0, limit - address))
                struct.pack_into(">QQ", self.first_page, at + 32, size, size)
            self.loads.append((offset, address, size))
        elif kind == PT_NOTE:
            self.notes.append((offset, size))
        self.size = max(self.size, offset + size)

    def memory(self):
        """(absolute address, size, offset in the file) of each range, ascending and disjoint.

        The PT_LOAD for the kernel image is left out, because other ranges contain it already.
        """
        ranges, end = [], 0
        for offset, address, size in sorted(self.loads, key=lambda load: load[1]):
            known = max(0, end - address)
            if known < size:
                ranges.append((address + known, size - known, offset + known))
                end = address + size
        return ranges

    def read_memory(self, address, size):
        """Bytes of memory from an absolute address on; None if they are not in one range."""
        for start, length, offset in self.memory():
            if start <= address and address + size <= start + length:
                return read_exactly(self.fd, size, offset + address - start)
        return None

    def cpus(self):
        """The notes of each CPU, one CPU after the other: descriptors by type."""
        cpu = {}
        for offset, size in self.notes:
            for kind, descriptor in self._notes(offset, offset + size):
                if kind == NT_PRSTATUS:
                    if cpu:
                        yield cpu
                    cpu = {}
                if kind == NT_PRSTATUS or cpu:
                    cpu[kind] = descriptor
        if cpu:
            yield cpu

    def _notes(self, at, end):
        while at + NOTE_HEADER.size <= end:
            name, size, kind = NOTE_HEADER.unpack(read_exactly(self.fd, NOTE_HEADER.size, at))
            if name == 0:  # the last one
                break
            at += NOTE_HEADER.size + (name + 3 & ~3)
            yield kind, read_exactly(self.fd, size, at)
            at += size + 3 & ~3
