"""VMCOREINFO: lines ``KEY=value`` that Linux provides for readers of its dump.

References: Linux ``kernel/vmcore_info.c`` and ``include/linux/vmcore_info.h`` (format of the
lines), ``arch/s390/kernel/vmcore_info.c`` (addresses of s390).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.dump.reader import Dump
from harness.errors import EvidenceError

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})")


class Vmcoreinfo:
    """The lines of a note; ``lines`` maps the text before = to the text after it."""

    def __init__(self, note: bytes, name: str) -> None:
        self.name = name
        text = note.rstrip(b"\0").decode(errors="replace")
        self.lines: Mapping[str, str] = {
            key: value
            for key, has, value in (line.partition("=") for line in text.split("\n"))
            if has
        }

    @classmethod
    def of(cls, dump: Dump) -> Vmcoreinfo:
        """The VMCOREINFO of a dump; raises EvidenceError if it has none."""
        note = dump.vmcoreinfo
        if note is None:
            raise EvidenceError(f"{dump.name}: has no VMCOREINFO")
        return cls(note, dump.name)

    def symbol(self, name: str) -> int:
        """A symbol's virtual address; raises EvidenceError if VMCOREINFO lacks it."""
        return self._number(f"SYMBOL({name})", 16)

    def offset(self, member: str) -> int:
        """The offset of ``struct.member`` in bytes; raises EvidenceError if it is missing."""
        return self._number(f"OFFSET({member})", 10)

    def size(self, struct: str) -> int:
        """The size of a struct in bytes; raises EvidenceError if it is missing."""
        return self._number(f"SIZE({struct})", 10)

    def length(self, array: str) -> int:
        """The number of elements of an array; raises EvidenceError if it is missing."""
        return self._number(f"LENGTH({array})", 10)

    def address(self, name: str) -> int | None:
        """The address in a line that only s390 has, such as KERNELOFFPHYS; None without it."""
        return self._number(name, 16) if name in self.lines else None

    def image_address(self, virtual: int) -> int:
        """Absolute address of a symbol in the kernel's image, without any page table.

        Since Linux 6.10 the image has a mapping of its own (``arch/s390/boot/startup.c``), and
        VMCOREINFO has its address. Before, virtual and absolute addresses were the same.
        """
        base, physical = (self.address(name) for name in ("KERNELOFFSET", "KERNELOFFPHYS"))
        if base is None or physical is None:
            return virtual
        return virtual - base + physical

    @property
    def release(self) -> tuple[int, int] | None:
        """Version and patch level in OSRELEASE; None if there are none."""
        found = _RELEASE.match(self.lines.get("OSRELEASE", ""))
        return None if found is None else (int(found[1]), int(found[2]))

    def _number(self, key: str, base: int) -> int:
        value = self.lines.get(key)
        if value is None:
            raise EvidenceError(f"{self.name}: VMCOREINFO has no {key}")
        try:
            number = int(value, base)
        except ValueError:
            raise EvidenceError(f"{self.name}: VMCOREINFO: {key}={value} is no number") from None
        if not 0 <= number < 1 << 64:
            raise EvidenceError(f"{self.name}: VMCOREINFO: {key}={value} is out of range")
        return number
