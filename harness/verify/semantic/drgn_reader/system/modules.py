"""Loaded modules; their code is compared with their files, if these are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drgn import Object, Program, RelocatableModule
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.module import module_address_regions

from harness.verify.semantic.drgn_reader.system.bounded import bounded, text
from harness.verify.witnesses.facts import Module, Text
from harness.verify.witnesses.module_file import compare, find

MAX_MODULES = 1 << 12
_STATES = {0: "Live", 1: "Loading", 2: "Unloading"}  # enum module_state; 3: UNFORMED, not shown
_UNFORMED = 3


def read_modules(program: Program, files: Path | None) -> tuple[Module, ...]:
    """``files`` is the folder below which the modules' files are."""
    if "modules" not in program:
        return ()
    for _ in program.loaded_modules():
        pass  # drgn now knows them
    known = {
        module.name: module for module in program.modules() if isinstance(module, RelocatableModule)
    }
    head = program["modules"].address_of_()
    listed = bounded(list_for_each_entry("struct module", head, "list"), MAX_MODULES, "modules")
    return tuple(
        _module(program, module, known, files)
        for module in listed
        if int(module.state) != _UNFORMED
    )


def _module(
    program: Program,
    module: Object,
    known: Mapping[str, RelocatableModule],
    files: Path | None,
) -> Module:
    name = text(module.name.string_())
    regions = module_address_regions(module)
    details = known.get(name)
    build_id = details.build_id.hex() if details is not None and details.build_id else None
    return Module(
        name=name,
        size=sum(size for _, size in regions),
        state=_STATES.get(int(module.state), str(int(module.state))),
        address=regions[0][0],
        build_id=build_id,
        text=None if files is None else _text(program, details, name, files),
    )


def _text(
    program: Program, details: RelocatableModule | None, name: str, files: Path
) -> Text | None:
    file = find(files, name)
    if file is None or details is None:
        return None
    return compare(file, dict(details.section_addresses), program.read)
