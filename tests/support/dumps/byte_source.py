"""A byte source for tests."""

from __future__ import annotations

from harness.dump.byte_source import ByteSource


class Memory(ByteSource):
    """Bytes in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self.name, self.size = data, name, len(data)

    def upto(self, at: int, size: int) -> bytes:
        return self._data[at : at + size]

    def close(self) -> None:
        pass
