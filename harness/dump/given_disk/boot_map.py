"""Read what zipl put on a SCSI disk to be loaded; the disk may be hostile.

References: s390-tools ``zipl/include/boot.h`` (struct scsi_mbr, component_entry,
boot_stage3_params), ``zipl/src/bootmap.c``; QEMU 10.0 ``pc-bios/s390-ccw/bootmap.c`` (zipl_run,
zipl_load_segment), which follows the same pointers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.dump.byte_source import ByteSource
from harness.errors import EvidenceError
from harness.s390x.layouts.c_zipl import c_zipl
from harness.s390x.zipl import MAGIC

_POINTER = len(c_zipl.scsi_blockptr)
_ENTRY = 32  # struct component_entry: block pointer, 7 bytes, type, address
_TYPE_AT, _ADDRESS_AT = 23, 24
_EXECUTE, _LOAD = 1, 2
_STAGE3_PARAMETERS = 0x9000  # first: the address of the parmline
_PARM_AREA = 0x10480  # in a kernel image: without stage 3, zipl puts the parmline there
_MOST_SECTIONS = 1 << 12  # blocks of a segment table; one with 31 pointers covers a megabyte
_MOST_PARMLINE = 1 << 16


@dataclass(frozen=True)
class Extent:
    """``size`` bytes at ``start`` of the disk."""

    start: int
    size: int


@dataclass(frozen=True)
class Component:
    """What is loaded to ``address``: pieces of the disk, one behind the other."""

    address: int
    pieces: tuple[Extent, ...]


@dataclass(frozen=True)
class BootMap:
    """The default program of a disk. ``parmline`` is None if none is found."""

    components: tuple[Component, ...]
    parmline: str | None


def has_boot_record(disk: ByteSource) -> bool:
    """Whether zipl wrote block 0."""
    return disk.upto(0, len(MAGIC)) == MAGIC


def read_boot_map(disk: ByteSource, sector_size: int) -> BootMap:
    """What an IPL of the disk loads; raises EvidenceError, saying where, if that is damaged."""
    return _Reader(disk, sector_size).read()


class _Reader:
    def __init__(self, disk: ByteSource, sector_size: int) -> None:
        self._disk, self._sector = disk, sector_size

    def read(self) -> BootMap:
        if not has_boot_record(self._disk):
            raise EvidenceError(f"{self._disk.name}: no zIPL boot record in block 0")
        record = c_zipl.scsi_mbr(self._disk.read(0, len(c_zipl.scsi_mbr), "boot record"))
        programs = self._block(record.program_table_pointer.blockno, "program table")
        default = c_zipl.scsi_blockptr(programs[_POINTER : 2 * _POINTER]).blockno
        table = self._block(default, "component table")
        components = tuple(self._components(table))
        return BootMap(components, self._parmline(components))

    def _block(self, number: int, what: str, magic: bytes = MAGIC) -> bytes:
        name = self._disk.name
        if not 0 < number < self._disk.size // self._sector:
            raise EvidenceError(f"{name}: boot map: the {what} would be in block {number}")
        data = self._disk.read(number * self._sector, self._sector, what)
        if not data.startswith(magic):
            found = data[: len(magic)].hex(" ")
            raise EvidenceError(f"{name}: boot map: no {what} in block {number}: {found}")
        return data

    def _components(self, table: bytes) -> Iterator[Component]:
        name = self._disk.name
        for at in range(_ENTRY, len(table), _ENTRY):
            entry = table[at : at + _ENTRY]
            kind = entry[_TYPE_AT]
            if kind == _EXECUTE:
                return
            if kind == _LOAD:
                address = int.from_bytes(entry[_ADDRESS_AT:])
                first = c_zipl.scsi_blockptr(entry[:_POINTER]).blockno
                yield Component(address, tuple(self._pieces(first)))
            elif not any(entry):
                break
        raise EvidenceError(f"{name}: boot map: the component table has no entry point")

    def _pieces(self, section: int) -> Iterator[Extent]:
        """What a segment table points to; its last pointer may lead to another block of it."""
        seen: set[int] = set()
        while section:
            if section in seen or len(seen) >= _MOST_SECTIONS:
                raise EvidenceError(
                    f"{self._disk.name}: boot map: the segment table in block {section} has no end"
                )
            seen.add(section)
            block = self._block(section, "segment table", b"")
            section = 0
            for at in range(0, len(block), _POINTER):
                pointer = c_zipl.scsi_blockptr(block[at : at + _POINTER])
                if not pointer.blockno:
                    break
                if at + _POINTER >= len(block):
                    section = pointer.blockno
                    break
                yield self._piece(pointer.blockno, pointer.blockct + 1)

    def _piece(self, number: int, blocks: int) -> Extent:
        extent = Extent(number * self._sector, blocks * self._sector)
        if extent.start + extent.size > self._disk.size:
            raise EvidenceError(
                f"{self._disk.name}: boot map: {blocks} blocks at {number} are to be loaded, "
                "behind the end of the disk"
            )
        return extent

    def _parmline(self, components: tuple[Component, ...]) -> str | None:
        by_address = {component.address: component for component in components}
        stage3 = by_address.get(_STAGE3_PARAMETERS)
        address = _PARM_AREA
        if stage3 is not None and stage3.pieces:
            address = int.from_bytes(self._disk.upto(stage3.pieces[0].start, 8))
        found = by_address.get(address)
        if found is None or not found.pieces:
            return None
        data = self._disk.upto(found.pieces[0].start, min(found.pieces[0].size, _MOST_PARMLINE))
        return data.split(b"\0")[0].decode("ascii", errors="replace").strip()
