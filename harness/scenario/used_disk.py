"""A dump disk that was in use before the dump: how it is damaged, and what an operator answers."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from harness.scenario.strict import refusal

_ARROW = " => "
_TYPED = re.compile("[ -~]{0,80}")


class Damage(StrEnum):
    """What is wrong with the dump disk's file system when the dump system is loaded."""

    LOST_BLOCKS = "lost-blocks"
    FREE_BLOCKS = "free-blocks"
    WRONG_COUNTS = "wrong-counts"
    JOURNAL = "journal"
    PRIMARY_SUPERBLOCK = "primary-superblock"
    SUPERBLOCKS = "superblocks"


def parse_answer(text: str) -> tuple[str, str]:
    """``REGEX => TEXT`` as its two parts; raises ValueError."""
    asked, arrow, say = text.rpartition(_ARROW)
    if not arrow or not asked:
        raise ValueError(f"'{text}' is not of the form 'REGEX{_ARROW}TEXT'")
    try:
        re.compile(asked)
    except re.error as error:
        raise ValueError(f"'{asked}' is no regular expression: {error}") from None
    if not _TYPED.fullmatch(say):
        raise ValueError(f"'{say}' cannot be typed: up to 80 characters of ASCII")
    return asked, say


def _answer(text: str) -> str:
    try:
        parse_answer(text)
    except ValueError as error:
        raise refusal(str(error)) from None
    return text


Answer = Annotated[str, AfterValidator(_answer)]
