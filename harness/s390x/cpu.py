"""The architected state of one CPU, as store status and ELF notes carry it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

GPRS = ACRS = CRS = FPRS = 16
VXRS = 32
VECTORS = frozenset({"vxrs_low", "vxrs_high"})  # fields that not every machine has


@dataclass(frozen=True)
class DumpedCpu:
    """The registers of one CPU that a dump has; None if it does not have them.

    PSW, general and access registers are what NT_PRSTATUS has, and a dump has no CPU without them.
    The fields are those of :class:`CpuState`.
    """

    psw_mask: int
    psw_addr: int
    gprs: tuple[int, ...]
    acrs: tuple[int, ...]
    crs: tuple[int, ...] | None
    fprs: tuple[int, ...] | None
    fpc: int | None
    prefix: int | None
    tod_programmable: int | None
    cpu_timer: int | None
    clock_comparator: int | None
    vxrs_low: tuple[int, ...] | None = None
    vxrs_high: tuple[int, ...] | None = None

    @property
    def whole(self) -> CpuState | None:
        """The same CPU if all but its vector registers is known, otherwise None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        required = values.keys() - VECTORS
        return None if any(values[name] is None for name in required) else CpuState(**values)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the fields that are not known, vector registers left out."""
        known = (field.name for field in fields(self) if field.name not in VECTORS)
        return tuple(name for name in known if getattr(self, name) is None)

    def to_json(self) -> dict[str, str | list[str]]:
        """Hexadecimal strings without a prefix, one per register; unknown ones are left out."""
        out: dict[str, str | list[str]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                out[field.name] = (
                    [f"{item:x}" for item in value] if isinstance(value, tuple) else f"{value:x}"
                )
        return out


@dataclass(frozen=True)
class CpuState(DumpedCpu):
    """All registers of one CPU. All integers are unsigned.

    Widths in bits: ``psw_mask``, ``psw_addr``, ``gprs``, ``crs``, ``fprs``, ``cpu_timer`` and
    ``clock_comparator`` 64; ``acrs``, ``fpc``, ``prefix`` and ``tod_programmable`` 32;
    ``vxrs_low`` 64 (bits 64-127 of V0-V15, whose left halves are the FPRs); ``vxrs_high`` 128
    (V16-V31). Both are None if they are not known, as in a dump without vector registers.
    Sources: Principles of Operation, chapter 4 "Store Status"; Linux
    ``arch/s390/include/asm/elf.h`` and ``arch/s390/kernel/crash_dump.c`` (struct save_area).
    """

    crs: tuple[int, ...]
    fprs: tuple[int, ...]
    fpc: int
    prefix: int
    tod_programmable: int
    cpu_timer: int
    clock_comparator: int

    @property
    def vxrs(self) -> tuple[int, ...] | None:
        """V0-V31, 128 bits each; None if they are not known."""
        if self.vxrs_low is None or self.vxrs_high is None:
            return None
        low = tuple(fpr << 64 | rest for fpr, rest in zip(self.fprs, self.vxrs_low, strict=True))
        return low + self.vxrs_high

    def zero_registers(self) -> Iterator[str]:
        """Names of the registers that are zero or unknown, with the number in a bank."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                yield from (f"{field.name}[{at}]" for at, each in enumerate(value) if not each)
            elif not value:
                yield field.name

    def without_vectors(self) -> CpuState:
        """The same CPU without vector registers; the FPRs stay."""
        return replace(self, vxrs_low=None, vxrs_high=None)

    @classmethod
    def from_json(cls, data: Mapping[str, str | list[str]]) -> CpuState:
        """The inverse of :meth:`to_json`; raises KeyError, TypeError or ValueError on all else."""
        values: dict[str, int | tuple[int, ...]] = {}
        for field in fields(cls):
            if field.default is None and field.name not in data:
                continue
            raw, (count, bits) = data[field.name], _SHAPES[field.name]
            if count == 1:
                values[field.name] = _register(field.name, raw, bits)
                continue
            if not isinstance(raw, list) or len(raw) != count:
                raise ValueError(f"{field.name}: not {count} registers")
            values[field.name] = tuple(_register(field.name, each, bits) for each in raw)
        return cls(**values)  # type: ignore[arg-type]  # the fields' own types, checked above


# the number of registers in each field, and their bits
_SHAPES = {
    "psw_mask": (1, 64),
    "psw_addr": (1, 64),
    "gprs": (GPRS, 64),
    "acrs": (ACRS, 32),
    "crs": (CRS, 64),
    "fprs": (FPRS, 64),
    "fpc": (1, 32),
    "prefix": (1, 32),
    "tod_programmable": (1, 32),
    "cpu_timer": (1, 64),
    "clock_comparator": (1, 64),
    "vxrs_low": (VXRS // 2, 64),
    "vxrs_high": (VXRS // 2, 128),
}


def _register(name: str, text: object, bits: int) -> int:
    if not isinstance(text, str) or not re.fullmatch("[0-9a-f]{1,32}", text):
        raise ValueError(f"{name}: not hexadecimal digits")
    value = int(text, 16)
    if value >> bits:
        raise ValueError(f"{name}: more than {bits} bits")
    return value
