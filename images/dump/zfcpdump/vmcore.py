"""The crashed memory as the kernel shows it: an ELF core file."""

import os
import struct

from .machine import PAGE, DumpError, read_exactly
from .source import Source

# ELF (include/uapi/linux/elf.h)
ELF_MAGIC = b"\x7fELF"
PROGRAM_HEADER = struct.Struct(">IIQQQQQQ")
PT_NULL, PT_LOAD, PT_NOTE = 0, 1, 4
# An entry that no reader uses (PT_NULL) tells with these p_flags that the dump was limited: p_paddr
# is where its memory ends, p_vaddr where the machine's did. ELF itself cannot tell.
LIMITED = 0x5A4C494D
NOTE_HEADER = struct.Struct(">III")  # sizes of name and descriptor, type
NT_PRSTATUS = 1  # the first note of each CPU


class Core:
    """The core file, of which the memory below ``limit``, or all, is copied.

    ``limit`` is None if that is all of it.
    """

    may_map = True

    def __init__(self, path, limit=None):
        self.fd = os.open(path, os.O_RDONLY)
        self.source = Source(self.fd)
        self.first_page = bytearray(read_exactly(self.fd, PAGE, 0))
        if self.first_page[:4] != ELF_MAGIC:
            raise DumpError(f"{path} is not an ELF file")
        (headers_at,) = struct.unpack_from(">Q", self.first_page, 32)
        (count,) = struct.unpack_from(">H", self.first_page, 56)
        self.loads = []  # (offset in the file, absolute address, size)
        self.notes = []  # (offset in the file, size)
        headers = [self._header(headers_at + at * PROGRAM_HEADER.size) for at in range(count)]
        # where the first PT_LOAD begins; a limit does not apply to it, nor to the machine's end
        self.head = min((offset for offset, _, _ in self.loads), default=PAGE)
        self.memory_end = max((address + size for _, address, size in self.loads), default=0)
        self.limit = limit if limit is not None and limit < self.memory_end else None
        if self.limit is not None:
            self._cut(headers_at, headers)
        self.size = max([PAGE] + [at + size for at, *_, size in self.loads + self.notes])

    def _header(self, at):
        if at + PROGRAM_HEADER.size > PAGE:
            raise DumpError("too many memory ranges: the program headers exceed a page")
        header = PROGRAM_HEADER.unpack_from(self.first_page, at)
        kind, _, offset, _, address, size, _, _ = header
        if kind == PT_LOAD:
            self.loads.append((offset, address, size))
        elif kind == PT_NOTE:
            self.notes.append((offset, size))
        return header

    def _cut(self, headers_at, headers):
        """Leave out of headers and loads what is not below the limit, and say so in a header."""
        kept = []
        for kind, flags, offset, virtual, address, size, in_memory, align in headers:
            if kind == PT_LOAD:
                size = in_memory = min(size, max(0, self.limit - address))
            if kind != PT_LOAD or size:
                kept.append((kind, flags, offset, virtual, address, size, in_memory, align))
        kept.append((PT_NULL, LIMITED, 0, self.memory_end, self.limit, 0, 0, 0))
        end = headers_at + max(len(kept), len(headers)) * PROGRAM_HEADER.size
        if end > PAGE:
            raise DumpError("too many memory ranges: no room to tell of dump_mem in the headers")
        table = b"".join(PROGRAM_HEADER.pack(*header) for header in kept)
        self.first_page[headers_at:end] = table.ljust(end - headers_at, b"\0")
        struct.pack_into(">H", self.first_page, 56, len(kept))
        self.loads = [(header[2], header[4], header[5]) for header in kept if header[0] == PT_LOAD]

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

    def place(self, offset):
        """What is at this offset of the file, in words."""
        for start, address, size in self.loads:
            if start <= offset < start + size:
                return f"memory at {address + offset - start:#x}"
        return f"offset {offset:#x}"

    def read_memory(self, address, size):
        """Bytes of memory from an absolute address on; None if they are not in one range."""
        for start, length, offset in self.memory():
            if start <= address and address + size <= start + length:
                return read_exactly(self.fd, size, offset + address - start)
        return None

    def has_several_cpus(self):
        """False also if the notes are wrong: this is no reason to write no dump."""
        try:
            return sum(1 for _ in self.cpus()) > 1
        except Exception:
            return False

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
