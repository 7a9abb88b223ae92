"""Compare the code of a loaded module with the module's file.

The kernel changes code when it loads a module, and later. Those places are left out: relocations,
and what other sections list as places to be patched.

References: System V ABI, s390x supplement (relocations); Linux arch/s390/kernel/module.c
(module_finalize), arch/s390/include/asm/alternative.h, arch/s390/kernel/nospec-branch.c,
include/linux/jump_label.h.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from harness.verify.witnesses.facts import Text

MAX_FILE = 64 << 20
SHOWN = 4  # differences
_SHOWN_BYTES = 8
_EXECUTABLE, _ALLOCATED = 0x4, 0x2  # SHF_*
_FREED = (".init", ".exit")  # sections whose memory may be another's by now
# bytes that a relocation changes, by its type (R_390_*); all others change four
_BYTES = {1: 1, 2: 2, 3: 2, 6: 2, 16: 2, 17: 2, 18: 2, 22: 8, 23: 8, 24: 8, 25: 8}
_USUAL = 4
_INSTRUCTION = 6  # the longest
# sections that list places in code: what is there may have been replaced by another instruction
_PATCHED = ("__mcount_loc", "__jump_table", ".s390_indirect", ".s390_return", ".nospec_")
_ALTERNATIVES = ".altinstructions"
# struct alt_instr: its size, and where it has the length of the code. Until Linux 5.18 a byte of
# padding follows the length (4efd417f298b); since 6.12 the facility has four bytes (1642285e511c)
_LENGTH_AT = {12: 10, 11: 10, 13: 12}


def find(folder: Path, name: str) -> Path | None:
    """A module's file below ``folder``: ``-`` in its name is ``_`` when it is loaded."""
    for path in sorted(folder.rglob("*.ko*")):
        if path.name.partition(".ko")[0].replace("-", "_") == name and path.is_file():
            return path
    return None


def compare(path: Path, addresses: Mapping[str, int], read: Callable[[int, int], bytes]) -> Text:
    """Compare each section of code that is in memory, at ``addresses``."""
    try:
        elf = ELFFile(BytesIO(_content(path)))
        return _compared(elf, addresses, read)
    except (ELFError, OSError, lzma.LZMAError, ValueError) as error:
        return Text(0, untold=f"{path}: {error}")


def _content(path: Path) -> bytes:
    if path.suffix == ".xz":
        with lzma.open(path) as file:
            content = file.read(MAX_FILE + 1)
    elif path.suffix == ".ko":
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    else:
        raise ValueError(f"compressed as {path.suffix}, which is not read here")
    if len(content) > MAX_FILE:
        raise ValueError(f"is larger than {MAX_FILE} bytes")
    return content


def _compared(
    elf: ELFFile, addresses: Mapping[str, int], read: Callable[[int, int], bytes]
) -> Text:
    compared, differing = 0, []
    changed = _changed(elf)
    for number, section in enumerate(elf.iter_sections()):
        address = addresses.get(section.name)
        if address is None or not _is_code(section) or not section["sh_size"]:
            continue
        left_out = bytes(changed.get(number, bytearray(section["sh_size"])))
        ours, theirs = section.data(), read(address, section["sh_size"])
        compared += left_out.count(0)
        differing += [
            (
                section.name,
                at,
                theirs[at : at + _SHOWN_BYTES].hex(),
                ours[at : at + _SHOWN_BYTES].hex(),
            )
            for at in _differing(ours, theirs, left_out)
        ]
    untold = "" if compared else "has no code in memory"
    return Text(compared, tuple(differing[:SHOWN]), untold)


def _differing(ours: bytes, theirs: bytes, left_out: bytes) -> list[int]:
    """Offsets of the first differences, outside of what is left out."""
    if ours == theirs:
        return []
    wrong = (
        at
        for at, (our, their, skip) in enumerate(zip(ours, theirs, left_out, strict=True))
        if our != their and not skip
    )
    return list(islice(wrong, SHOWN))


def _is_code(section: Any) -> bool:
    flags = _EXECUTABLE | _ALLOCATED
    return section["sh_flags"] & flags == flags and not section.name.startswith(_FREED)


def _changed(elf: ELFFile) -> dict[int, bytearray]:
    """For each section of code, by its number: 1 for each byte that the kernel may change."""
    changed = {
        number: bytearray(section["sh_size"])
        for number, section in enumerate(elf.iter_sections())
        if _is_code(section)
    }
    for relocations in elf.iter_sections():
        if not isinstance(relocations, RelocationSection):
            continue
        number = relocations["sh_info"]
        for relocation in relocations.iter_relocations() if number in changed else ():
            size = _BYTES.get(relocation["r_info_type"], _USUAL)
            _mark(changed[number], relocation["r_offset"], size)
        for section, at, size in _patched(elf, relocations, elf.get_section(number)):
            if section in changed:
                _mark(changed[section], at, size)
    return changed


def _mark(places: bytearray, at: int, size: int) -> None:
    end = min(at + size, len(places))
    if 0 <= at < end:
        places[at:end] = b"\1" * (end - at)


def _patched(
    elf: ELFFile, relocations: RelocationSection, table: Any
) -> Iterator[tuple[int, int, int]]:
    """Section, offset and size of each place that a table of such places leads to."""
    is_alternatives = table.name == _ALTERNATIVES
    if not is_alternatives and not table.name.startswith(_PATCHED):
        return
    symbols: Any = elf.get_section(relocations["sh_link"])
    offsets = sorted(relocation["r_offset"] for relocation in relocations.iter_relocations())
    entry = offsets[2] - offsets[0] if len(offsets) > 2 else table["sh_size"]
    for relocation in relocations.iter_relocations():
        symbol = symbols.get_symbol(relocation["r_info_sym"])
        section, size = symbol["st_shndx"], _INSTRUCTION
        if not isinstance(section, int):
            continue
        if is_alternatives:
            size = _alternative(table.data(), relocation["r_offset"], entry)
        yield section, symbol["st_value"] + relocation["r_addend"], size


def _alternative(table: bytes, offset: int, entry: int) -> int:
    """The length of the code that an entry of .altinstructions has replaced."""
    if entry not in _LENGTH_AT:
        return _INSTRUCTION
    at = offset - offset % entry + _LENGTH_AT[entry]
    return table[at] if at < len(table) else _INSTRUCTION
