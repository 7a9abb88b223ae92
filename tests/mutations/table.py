"""Every mutation of a dump, and the checks of each command that find it.

``python -m tests.mutations`` writes this table to docs/mutations.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.mutations import cpus, disk, headers, memory, notes, statements, unfinished
from tests.mutations.mutation import NO_DUMP

SECTIONS = {
    "Memory": memory.MUTATIONS,
    "Headers and compressed entries": headers.MUTATIONS,
    "Truncated or unfinished": unfinished.MUTATIONS,
    "CPUs and VMCOREINFO": cpus.MUTATIONS,
    "What the kernel says of itself": statements.MUTATIONS,
    "What other readers insist on": notes.MUTATIONS,
    "The disk around the dump": disk.MUTATIONS,
}
MUTATIONS = tuple(mutation for section in SECTIONS.values() for mutation in section)
_COMMANDS = ("verify", "check", "compare")
_NO_DUMP = frozenset(NO_DUMP.split())


def rendered() -> str:
    """How many mutations each command finds, and all sections, in Markdown."""
    seen = {name: sum(bool(item.expected[name]) for item in MUTATIONS) for name in _COMMANDS}
    summary = (
        f"Of {len(MUTATIONS)} ways `verify` sees {seen['verify']}, `dump check` {seen['check']}, "
        f"`dump compare` {seen['compare']}.\n"
    )
    return "\n".join([summary, *(line for title in SECTIONS for line in _section(title))])


def _section(title: str) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| | format | `verify` | `dump check` | `dump compare` |"
    yield "|---|---|---|---|---|"
    for mutation in SECTIONS[title]:
        said = " | ".join(_said(mutation.expected[command]) for command in _COMMANDS)
        yield f"| {mutation.name} | {mutation.where} | {said} |"
    yield ""


def _said(red: frozenset[str]) -> str:
    if red >= _NO_DUMP:
        return ", ".join(["no dump", *sorted(red - _NO_DUMP)])
    return ", ".join(sorted(red)) or "-"
