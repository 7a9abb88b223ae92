"""Open the kernel in a dump with drgn and the kernel's vmlinux."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drgn import (
    Architecture,
    FaultError,
    Object,
    Platform,
    PlatformFlags,
    Program,
    ProgramFlags,
    sizeof,
)
from drgn.helpers.linux.kallsyms import load_module_kallsyms

from harness.dump.formats.table import format_named
from harness.dump.reader import Dump
from harness.errors import EvidenceError

_MODULES = "symbols of modules"
_S390X = Platform(Architecture.S390X, PlatformFlags.IS_64_BIT)


def open_kernel(dump: Dump, path: Path, vmlinux: Path) -> Program:
    """The kernel in ``dump``, which is in the file ``path``.

    Formats that drgn knows are opened as its users do; other formats are read through ``dump``.
    Raises EvidenceError if the dump lacks what drgn needs, drgn's own errors if it cannot be used.
    """
    if format_named(dump.format).drgn and not dump.container:
        program = Program()
        program.set_core_dump(path)
        if not program.flags & ProgramFlags.IS_LINUX_KERNEL:  # there is no VMCOREINFO note
            program = _custom(dump)
    else:
        program = _custom(dump)
    program.load_debug_info([vmlinux])
    return program


def _custom(dump: Dump) -> Program:
    if dump.vmcoreinfo is None:
        raise EvidenceError("the dump has no VMCOREINFO")
    program = Program(_S390X)
    program.set_linux_kernel_custom(dump.vmcoreinfo.rstrip(b"\0"), is_live=False)

    def read(address: int, size: int, _offset: int, _physical: bool) -> bytes:
        try:
            return dump.read(address, size)
        except EvidenceError as error:
            raise FaultError(error.message, address) from None

    for start, end in dump.memory_map:
        program.add_memory_segment(start, end - start, read, physical=True)
    return program


def name_modules(program: Program) -> None:
    """Give names to functions of modules: their symbols are in the dump, not in vmlinux.

    A kernel without CONFIG_MODULES has none.
    """
    if "modules" in program and _MODULES not in program.registered_symbol_finders():
        program.register_symbol_finder(_MODULES, load_module_kallsyms(program), enable_index=0)


def lowcore(program: Program, prefix: int) -> Object:
    """The ``struct lowcore`` of the CPU with this prefix."""
    kind = program.type("struct lowcore")
    data = program.read(prefix, sizeof(kind), physical=True)
    return Object.from_bytes_(program, kind, data)


def registers(program: Program, address: int, gprs: Mapping[int, int], mask: int = 0) -> Object:
    """``struct pt_regs`` from which drgn can unwind."""
    values = {
        "psw": {"mask": mask, "addr": address},
        "gprs": [gprs.get(number, 0) for number in range(16)],
    }
    return Object(program, program.type("struct pt_regs"), values)
