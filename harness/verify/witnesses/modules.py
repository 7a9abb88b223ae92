"""Compare the modules in a dump with /proc/modules, and their code with their files."""

from __future__ import annotations

from collections.abc import Iterator

from harness.evidence.witnesses import WitnessedModule, Witnesses
from harness.verify.witnesses.facts import Module, SystemFacts
from harness.verify.witnesses.said import Said, same_keys


def check_modules(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """The same modules, at the same addresses, of the same build; with the code of their files."""
    assert facts.modules is not None
    for module in facts.modules:
        yield from _code(module)
    if told.modules is None:
        return
    listed = {module.name: module for module in told.modules}
    found = {module.name: module for module in facts.modules}
    yield from same_keys(listed, found, "modules", "module")
    for name in sorted(listed.keys() & found.keys()):
        yield from _same(listed[name], found[name])


def describe(modules: tuple[Module, ...]) -> str:
    """How many there are, and of how many the code was compared."""
    compared = [module.text for module in modules if module.text and module.text.compared]
    bytes_compared = sum(text.compared for text in compared)
    ids = sum(module.build_id is not None for module in modules)
    return (
        f"modules: {len(modules)}, {ids} with a build-id; the code of {len(compared)} was compared "
        f"with their files ({bytes_compared} bytes)"
    )


def _same(told: WitnessedModule, found: Module) -> Iterator[str]:
    # an address of 0 is one that the system did not tell (kptr_restrict)
    address = told.address or found.address
    for what, before, now in (
        ("size", told.size, found.size),
        ("state", told.state, found.state),
        ("address", f"{address:#x}", f"{found.address:#x}"),
        ("build-id", told.build_id, found.build_id),
    ):
        if before != now:
            yield f"modules: {told.name}: {what} is {now}, but it was {before}"


def _code(module: Module) -> Iterator[str]:
    if module.text is not None:
        for section, offset, in_dump, in_file in module.text.differing:
            yield (
                f"modules: {module.name}: {section}+{offset:#x} is {in_dump}, but {in_file} in its "
                "file"
            )
