"""What a crashed Linux, its CPUs and its dump say several times of the same thing.

Sources: Linux 6.12 ``arch/s390/boot/startup.c`` (layout of memory), ``arch/s390/boot/vmem.c`` (page
tables), ``arch/s390/kernel/vmcore_info.c``, ``arch/s390/kernel/os_info.c``,
``arch/s390/kernel/smp.c`` and ``setup.c`` (lowcores); 6.1 ``arch/s390/kernel/vmlinux.lds.S``.

| since Linux | what is said |
|---|---|
| 3.15 | control register 13 and lowcore of each CPU have the ASCE of ``swapper_pg_dir`` |
| 5.2 | KERNELOFFSET is what was added to the image's virtual addresses, which are absolute ones |
| 5.15 | SAMODE31 is a virtual address that is an absolute one |
| 6.10 | KERNELOFFSET, IDENTITYBASE are virtual, KERNELOFFPHYS is absolute; the same in os_info |
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from harness.dump.linux import dat, os_info
from harness.dump.linux.crashed_kernel import HOME_SPACE, AddressSpace, Kernel, lowcore_pointers
from harness.dump.linux.early import TEXT_OFFSET, early
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump, Segment
from harness.errors import EvidenceError, LimitError
from harness.limits import limits
from harness.s390x.lowcore import PREFIX_AREA_SIZE

_HOME_SPACE_SINCE = (3, 15)  # e258d719ff28 "s390/uaccess: always run the kernel in home space"
_FIELDS_OF_LINUX = slice(0x200, 0xE00)  # of a lowcore; their places change between versions
_NAMED = 4  # how many of those who say the same a message names
_OFFSETS = "KERNELOFFSET, KERNELOFFPHYS"
_VMCOREINFO, _OS_INFO, _TABLES, _LOAD = "VMCOREINFO", "os_info", "page tables", "PT_LOAD"


@dataclass(frozen=True)
class Told:
    """``value`` is what one says; None if it should be there and is not, and ``why``."""

    by: str
    value: int | None
    why: str = ""

    @property
    def what(self) -> str:
        return self.why if self.value is None else f"{self.value:#x}"


@dataclass(frozen=True)
class Statement:
    """All that is told of one thing."""

    of: str
    told: tuple[Told, ...]

    @property
    def contradicts(self) -> bool:
        """Whether not all say the same."""
        return any(each.value is None or each.value != self.told[0].value for each in self.told)

    def __str__(self) -> str:
        """What is said, and by whom: ``OF: A (one, another), B (a third)``."""
        said: dict[str, list[str]] = {}
        for each in self.told:
            said.setdefault(each.what, []).append(each.by)
        return f"{self.of}: {', '.join(f'{what} ({_names(by)})' for what, by in said.items())}"


def _names(by: list[str]) -> str:
    more = f" and {len(by) - _NAMED} more" if len(by) > _NAMED else ""
    return ", ".join(by[:_NAMED]) + more


@dataclass(frozen=True)
class Loads:
    """What an ELF dump says: ``bases`` of the identity mapping, and the kernel's ``image``."""

    bases: tuple[int, ...]
    image: Segment


class Statements:
    """All statements of the kernel in ``dump``, and of the dump's own ``loads``.

    ``silent`` tells, when all have been gone through, who said nothing, and why.
    """

    def __init__(self, dump: Dump, loads: Loads | None, *, walk_image: bool = True) -> None:
        """``walk_image``: the page tables are asked where the kernel's image is, too.

        Without VMCOREINFO, as before Linux has set it, the others can still be asked. Raises
        EvidenceError if a line of VMCOREINFO is not valid.
        """
        self._dump, self._loads, self._walk_image = dump, loads, walk_image
        self._silent: dict[str, None] = {}
        self._info = None if dump.vmcoreinfo is None else Vmcoreinfo.of(dump)
        self._layout = os_info.layout(dump)
        self._cpus = self._cpus_with_asce()
        self._kernel = Kernel(dump) if self._info else None
        self._space = self._kernel or self._space_of_cpus()

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(self._silent)

    def __iter__(self) -> Iterator[Statement]:
        """Statements of which more than one tells something."""
        return (each for each in self._all() if len(each.told) > 1)

    def _all(self) -> Iterator[Statement]:
        yield Statement("os_info", tuple(self._pointer_and_os_info()))
        yield from (Statement(name, tuple(told)) for name, told in self._values())
        yield Statement("_stext, virtual", tuple(self._stext()))
        yield Statement("_stext, absolute", tuple(self._absolute_stext()))
        yield Statement("swapper_pg_dir, absolute", tuple(self._swapper_pg_dir()))
        yield Statement("the kernel's ASCE", tuple(self._asce()))
        yield from (
            Statement(f"lowcore at {at:#x}, absolute", tuple(self._mapped(at)))
            for at in self._lowcore_pointers
        )

    def _cpus_with_asce(self) -> dict[str, tuple[int, int]]:
        """Prefix and control register 13 of each CPU that Linux has started, by its name."""
        release = self._info.release if self._info else None
        if release is not None and release < _HOME_SPACE_SINCE:
            self._is_silent("control register 13", "Linux before 3.15 uses it in another way")
            return {}
        try:
            cpus = self._dump.cpus_in_reach
        except EvidenceError as error:
            self._is_silent("CPUs", error.without(self._dump.name))
            return {}
        found = {}
        for name, cpu in ((f"CPU {at}", cpu) for at, cpu in enumerate(cpus)):
            if cpu.prefix is None or cpu.crs is None:
                self._is_silent(name, "the dump lacks its prefix or its control registers")
            elif cpu.prefix and not cpu.crs[HOME_SPACE]:
                self._is_silent(name, "control register 13 is zero: it was reset")
            elif cpu.prefix:
                found[name] = cpu.prefix, cpu.crs[HOME_SPACE]
        return found

    def _space_of_cpus(self) -> AddressSpace | None:
        asces = [asce for _, asce in self._cpus.values()]
        return AddressSpace(self._dump, max(asces, key=asces.count)) if asces else None

    def _pointer_and_os_info(self) -> Iterator[Told]:
        """That os_info is where the absolute lowcore says."""
        pointer = tuple(self._ask("absolute lowcore", lambda: os_info.pointer(self._dump)))
        if not pointer or not pointer[0].value:
            self._is_silent(_OS_INFO, "the absolute lowcore does not name it")
            return
        yield from pointer
        there = tuple(self._ask("memory", lambda: self._os_info_at(pointer[0].value or 0)))
        yield from there
        if self._layout is None and there and there[0].value:
            self._is_silent(_OS_INFO, "does not tell where the kernel is (Linux before 6.10)")

    def _os_info_at(self, address: int) -> int:
        if not os_info.is_at(self._dump, address):
            raise dat.NotMapped("no valid os_info is there")
        return address

    def _values(self) -> Iterator[tuple[str, list[Told]]]:
        """What VMCOREINFO, os_info and PT_LOADs have in the same form."""
        loads = self._loads
        bases = [Told(_LOAD, base) for base in loads.bases] if loads else []
        sizes = [Told(_LOAD, loads.image.size)] if loads else []
        yield "KERNELOFFSET", [*self._line("KERNELOFFSET"), *self._field("kaslr_offset")]
        yield "KERNELOFFPHYS", [*self._line("KERNELOFFPHYS"), *self._field("kaslr_offset_phys")]
        yield "IDENTITYBASE", [*self._line("IDENTITYBASE"), *self._field("identity_base"), *bases]
        yield "SAMODE31", [*self._line("SAMODE31"), *self._field("amode31_start")]
        yield "EAMODE31", [*self._line("EAMODE31"), *self._field("amode31_end")]
        yield "size of the image", [*self._field("image_size"), *sizes]
        for start in self._line("SAMODE31"):
            yield "SAMODE31, absolute", [start, *self._walk(start.value or 0)]

    def _stext(self) -> Iterator[Told]:
        yield from self._line("SYMBOL(_stext)")
        yield from self._field("image_start")
        if self._info and self._info.address("KERNELOFFPHYS") is None:
            self._is_silent("KERNELOFFPHYS", "Linux before 6.10 does not tell it")
            for offset in self._line("KERNELOFFSET"):
                yield Told("KERNELOFFSET", (offset.value or 0) + TEXT_OFFSET)
        if self._loads:
            yield Told(_LOAD, self._loads.image.vaddr)

    def _absolute_stext(self) -> Iterator[Told]:
        yield from self._in_image("_stext")
        found = early(self._dump)
        if found is not None and found.image is not None:
            yield Told("absolute lowcore", found.image)
        yield from self._field("image_phys")
        if self._walk_image:
            for virtual in (*self._line("SYMBOL(_stext)"), *self._field("image_start"))[:1]:
                yield from self._walk(virtual.value or 0)
        if self._loads:
            yield Told(_LOAD, self._loads.image.paddr)

    def _swapper_pg_dir(self) -> Iterator[Told]:
        yield from self._in_image("swapper_pg_dir")
        if self._walk_image:
            for virtual in self._line("SYMBOL(swapper_pg_dir)"):
                yield from self._walk(virtual.value or 0)
        for name, (_, asce) in self._cpus.items():
            yield Told(f"control register 13 of {name}", asce & dat.ORIGIN)

    def _asce(self) -> Iterator[Told]:
        """The ASCE of the kernel, and whether the CPUs' lowcores have it."""
        if self._space is None:
            return
        asce = self._space.asce
        yield Told("control registers", asce)
        known = [each.value for at in self._lowcore_pointers for each in self._walk(at)]
        for name, (prefix, _) in self._cpus.items():
            if not known or prefix in known:  # the check of prefixes reports others
                yield from self._ask(f"lowcore of {name}", partial(self._has, prefix, asce))

    def _has(self, prefix: int, asce: int) -> int:
        area = self._dump.read(prefix, PREFIX_AREA_SIZE)[_FIELDS_OF_LINUX]
        if (asce,) not in struct.iter_unpack(">Q", area):
            raise dat.NotMapped(f"not in the lowcore at {prefix:#x}")
        return asce

    def _mapped(self, pointer: int) -> Iterator[Told]:
        """Where a virtual address of the identity mapping is."""
        base = (self._info.address("IDENTITYBASE") if self._info else None) or 0
        yield Told("IDENTITYBASE" if base else "identity mapping", pointer - base)
        yield from self._walk(pointer)

    @cached_property
    def _lowcore_pointers(self) -> tuple[int, ...]:
        if self._kernel is None or "SYMBOL(lowcore_ptr)" not in self._kernel.info.lines:
            return ()
        try:
            return lowcore_pointers(self._kernel)[: limits().cpus]
        except LimitError:
            raise
        except EvidenceError as error:  # of the page tables, which other statements are about
            self._is_silent("lowcore_ptr", error.without(self._dump.name))
            return ()

    def _line(self, name: str) -> tuple[Told, ...]:
        value = self._info.address(name) if self._info else None
        return () if value is None else (Told(_VMCOREINFO, value),)

    def _field(self, name: str) -> tuple[Told, ...]:
        return (Told(_OS_INFO, getattr(self._layout, name)),) if self._layout else ()

    def _in_image(self, symbol: str) -> tuple[Told, ...]:
        """Where VMCOREINFO says that a symbol of the image is."""
        info = self._info
        if info is None or f"SYMBOL({symbol})" not in info.lines:
            return ()
        by = _VMCOREINFO if info.address("KERNELOFFPHYS") is None else _OFFSETS
        return (Told(by, info.image_address(info.symbol(symbol))),)

    def _walk(self, virtual: int) -> Iterator[Told]:
        space = self._space
        return iter(()) if space is None else self._ask(_TABLES, partial(space.translate, virtual))

    def _ask(self, by: str, read: Callable[[], int]) -> Iterator[Told]:
        """What is read; nothing if a dump does not have all memory, and lacks this part."""
        try:
            yield Told(by, read())
        except LimitError:
            raise
        except EvidenceError as error:
            why = error.without(self._dump.name)
            if isinstance(error, dat.NotMapped) or not self._lacks_memory:
                yield Told(by, None, why)
            else:
                self._is_silent(by, why)

    def _is_silent(self, who: str, why: str) -> None:
        self._silent[f"{who}: {why}"] = None

    @cached_property
    def _lacks_memory(self) -> bool:
        """Whether the dump says that it does not have all memory, or was cut."""
        dump = self._dump
        return bool(
            dump.limited is not None
            or dump.incomplete is not None
            or dump.filtered is not None
            or dump.missing
            or any(True for _ in dump.left_out)
        )
