"""Text that others wrote, made safe to show.

A guest, a dump, the evidence of someone else and the name of a file may hold anything: a terminal
takes ESC and C1 characters for commands (ECMA-48), bidirectional overrides change the order of what
is read (Unicode Standard Annex 9), a line end begins a line that looks like one of ours.
"""

from __future__ import annotations

LINE_END, TAB = "\n", "\t"
_CUT = "..."


def printable(text: str, *, keep: str = "", limit: int | None = None) -> str:
    r"""``text`` with every character that is no visible one as its escape in Python: ``\x1b``.

    Those are Unicode's categories C (control, format, surrogate, private, unassigned) and Z
    (separators) but the space, as ``str.isprintable`` has them; a backslash stays as it is. Without
    ``keep`` the result is one line; ``keep`` names the characters that stay: LINE_END, TAB.

    A ``limit`` is the most characters of the result; what is longer ends in "...".

    For plain text only: it does nothing about the markup of rich ("[bold]"). Give rich a ``Text``.
    """
    if limit is not None:
        text = text[: limit + 1]  # an escape is longer than its character, never shorter
    safe = text if text.isprintable() else "".join(_shown(each, keep) for each in text)
    if limit is not None and len(safe) > limit:
        return safe[: max(0, limit - len(_CUT))] + _CUT[:limit]
    return safe


def printable_lines(text: str, *, limit: int | None = None) -> str:
    """``printable`` that keeps line ends and tabs."""
    return printable(text, keep=LINE_END + TAB, limit=limit)


def _shown(character: str, keep: str) -> str:
    if character.isprintable() or character in keep:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
