"""The crashed system's memory: read it from its snapshot, and restore changed pages."""

from __future__ import annotations

import os

from harness.closing import Closing
from harness.errors import EvidenceError
from harness.evidence.snapshot import Snapshot
from harness.files.sparse import data_extents
from harness.qemu.ram import GuestRam
from harness.s390x.lowcore import PAGE_SIZE

CHUNK = 1 << 20


class OldMemory(Closing):
    """A snapshot's memory as read-only absolute storage."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._file = snapshot.ram_image.open("rb")
        self.size = snapshot.memory

    def close(self) -> None:
        self._file.close()

    def read(self, address: int, size: int) -> bytes:
        # not mapped: a hole in a full tmpfs, or a bad sector, would kill this process (SIGBUS)
        data = os.pread(self._file.fileno(), size, address)
        if len(data) < min(size, self.size - address):
            raise EvidenceError(f"{self._file.name} became shorter while it was read")
        return data

    def write(self, address: int, data: bytes) -> None:
        raise PermissionError("a snapshot's memory does not change")

    def restore(self, ram: GuestRam, start: int) -> int:
        """Make ``ram`` equal to the snapshot from ``start`` on; returns how many pages differed.

        ``ram`` started as a copy, so it has the snapshot's holes, and only its data can differ.
        """
        restored = 0
        for offset, size in data_extents(ram.fd, start):
            for at in range(offset, offset + size, CHUNK):
                length = min(CHUNK, offset + size - at)
                if ram.read(at, length) != self.read(at, length):
                    restored += self._restore_pages(ram, at, length)
        return restored

    def _restore_pages(self, ram: GuestRam, start: int, length: int) -> int:
        restored = 0
        for at in range(start, start + length, PAGE_SIZE):
            page = self.read(at, PAGE_SIZE)
            if ram.read(at, PAGE_SIZE) != page:
                ram.write(at, page)
                restored += 1
        return restored
