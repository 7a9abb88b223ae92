"""Make text from others safe to show.

A guest, a dump, evidence from others and a file name may contain anything. A terminal takes ESC and
C1 characters for commands (ECMA-48). Bidirectional overrides change the order of the text (Unicode
Standard Annex 9). A line end may start a line that looks like one of ours.
"""

from __future__ import annotations

LINE_END, TAB = "\n", "\t"
_CUT = "..."


def printable(text: str, *, keep: str = "", limit: int | None = None) -> str:
    r"""``text`` with every invisible character as its Python escape: ``\x1b``.

    Invisible are Unicode's categories C (control, format, surrogate, private, unassigned) and Z
    (separators), except the space, as in ``str.isprintable``. A backslash stays as it is. Without
    ``keep`` the result is one line; ``keep`` names characters that stay: LINE_END, TAB.

    ``limit`` is the maximum length of the result; a longer one is cut and ends in "...".

    For plain text only: the markup of rich ("[bold]") stays as it is. Give rich a ``Text``.
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
