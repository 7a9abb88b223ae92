"""The interface to memory that the firmware needs."""

from __future__ import annotations

from typing import Protocol


class AbsoluteStorage(Protocol):
    """Main storage by absolute address."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...


def within(storage: AbsoluteStorage, address: int, size: int) -> bool:
    """Whether ``size`` bytes at ``address`` are installed."""
    return address >= 0 and address + size <= storage.size
