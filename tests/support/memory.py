"""Absolute storage for tests."""

from __future__ import annotations


class FakeStorage:
    """A bytearray as absolute storage; ``writes`` records (address, size)."""

    def __init__(self, content: bytes) -> None:
        self.bytes = bytearray(content)
        self.writes: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return len(self.bytes)

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.bytes[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        self.writes.append((address, len(data)))
        self.bytes[address : address + len(data)] = data
