"""What keeps another program from the registers in a dump, although this one reads them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OtherReader(StrEnum):
    """A program, or library, that people open dumps with."""

    CRASH = "crash"
    DRGN = "drgn"
    ELFUTILS = "elfutils"
    LIBKDUMPFILE = "libkdumpfile"
    ZGETDUMP = "zgetdump"


@dataclass(frozen=True)
class Refusal:
    """Why some readers do not get registers: those of ``cpus``, or of all if there are none.

    ``cpus`` are positions in the dump. It is ``usual`` if the program that made the dump makes
    every dump so; then it is no fault of this one.
    """

    readers: tuple[OtherReader, ...]
    why: str
    cpus: tuple[int, ...] = ()
    usual: bool = False

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.cpus))
        whose = f"the registers of CPU {numbers}" if self.cpus else "any registers"
        return f"{', '.join(self.readers)} cannot take {whose}: {self.why}"
