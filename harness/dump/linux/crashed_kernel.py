"""The crashed kernel's virtual memory, found through VMCOREINFO."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from harness.dump.linux import dat
from harness.dump.linux.vmcoreinfo import Vmcoreinfo
from harness.dump.reader import Dump
from harness.errors import EvidenceError, LimitError
from harness.s390x.lowcore import PAGE_SIZE

_KNOWN_PAGES = 1 << 16  # translations that are remembered
_MAX_READ = 1 << 17  # sizes come from the dump and are not trusted
_REGION_THIRD_END = 1 << 42  # what a region-third table can map
_FULL_TABLE = 3
HOME_SPACE = 13  # the control register with the kernel's ASCE, in every context since Linux 3.15
_SPACES = (1, HOME_SPACE, 7)  # control registers with an ASCE: primary, home, secondary


class AddressSpace:
    """Memory of ``dump`` by virtual address, as the tables of ``asce`` map it."""

    def __init__(self, dump: Dump, asce: int) -> None:
        self.dump, self.asce = dump, asce
        self._pages: dict[int, int] = {}

    def translate(self, virtual: int) -> int:
        """Absolute address; raises NotMapped, or EvidenceError if the dump lacks the tables."""
        page = virtual & ~(PAGE_SIZE - 1)
        if page not in self._pages:
            if len(self._pages) >= _KNOWN_PAGES:
                self._pages.clear()
            try:
                self._pages[page] = dat.translate(self.asce, page, self._entry)
            except EvidenceError as error:
                name = self.dump.name
                raise type(error)(f"{name}: {error.without(name)}") from error
        return self._pages[page] + virtual - page

    def read(self, virtual: int, size: int) -> bytes:
        """Up to 128 KiB from a virtual address on.

        Raises EvidenceError if ``size`` is larger or not all bytes are in the dump.
        """
        if size > _MAX_READ:
            raise EvidenceError(f"{self.dump.name}: {size} bytes at {virtual:#x}: no structure")
        return b"".join(
            self.dump.read(self.translate(at), end - at) for at, end in _pages(virtual, size)
        )

    def number(self, virtual: int) -> int:
        """The unsigned long at a virtual address."""
        return int.from_bytes(self.read(virtual, 8), "big")

    def _entry(self, at: int) -> int:
        return int.from_bytes(self.dump.read(at, 8), "big")


class Kernel(AddressSpace):
    """The kernel in ``dump``, in its own address space; ``info`` is its VMCOREINFO."""

    def __init__(self, dump: Dump) -> None:
        """Raises EvidenceError if there is no VMCOREINFO or it names no page tables."""
        self.info = Vmcoreinfo.of(dump)
        super().__init__(dump, _kernels_asce(dump, self.info))


def _kernels_asce(dump: Dump, info: Vmcoreinfo) -> int:
    """The ASCE of swapper_pg_dir, from a CPU's register with that address: it has the type.

    If VMCOREINFO is wrong about the address, tables that map swapper_pg_dir to themselves are it.
    """
    symbol = info.symbol("swapper_pg_dir")
    tables = info.image_address(symbol)
    try:
        cpus = dump.cpus
    except EvidenceError:  # a dump without CPUs can still be read
        cpus = ()
    known = [cpu.crs for cpu in cpus if cpu.crs is not None]
    named = (crs[number] for crs in known for number in _SPACES)
    found = next((asce for asce in named if asce & dat.ORIGIN == tables), None)
    if found is not None:
        return found
    for asce in dict.fromkeys(crs[HOME_SPACE] for crs in known):
        if _maps_itself(AddressSpace(dump, asce), symbol):
            return asce
    level = 1 if symbol < _REGION_THIRD_END else 2
    return tables | level << dat.TYPE_SHIFT | _FULL_TABLE


def _maps_itself(space: AddressSpace, symbol: int) -> bool:
    try:
        return space.translate(symbol) == space.asce & dat.ORIGIN
    except LimitError:
        raise
    except EvidenceError:
        return False


UTS_FIELDS = ("sysname", "nodename", "release", "version", "machine", "domainname")
_UTS_SIZE = 65  # include/uapi/linux/utsname.h: __NEW_UTS_LEN and a NUL


def uts_names(kernel: Kernel) -> dict[str, str]:
    """The fields of the first UTS namespace; raises EvidenceError if it is missing."""
    at = kernel.info.symbol("init_uts_ns") + kernel.info.offset("uts_namespace.name")
    names = kernel.read(at, len(UTS_FIELDS) * _UTS_SIZE)
    return {
        field: names[start : start + _UTS_SIZE].partition(b"\0")[0].decode(errors="replace")
        for field, start in zip(UTS_FIELDS, range(0, len(names), _UTS_SIZE), strict=True)
    }


def lowcore_pointers(kernel: Kernel) -> tuple[int, ...]:
    """Virtual addresses of the kernel's lowcores, one for each CPU that it brought up."""
    at, count = kernel.info.symbol("lowcore_ptr"), kernel.info.length("lowcore_ptr")
    pointers = kernel.read(at, min(count, PAGE_SIZE) * 8)
    return tuple(at for (at,) in struct.iter_unpack(">Q", pointers) if at)


def lowcores(kernel: Kernel) -> tuple[int, ...]:
    """Absolute addresses of the kernel's lowcores."""
    return tuple(map(kernel.translate, lowcore_pointers(kernel)))


def _pages(virtual: int, size: int) -> Iterator[tuple[int, int]]:
    at = virtual
    while at < virtual + size:
        end = min(virtual + size, (at | (PAGE_SIZE - 1)) + 1)
        yield at, end
        at = end
