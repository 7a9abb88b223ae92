"""``dump_part`` and ``dump_dir``: where zfcpdump writes a dump file (docs/dump-tool.md)."""

from __future__ import annotations

from typing import NamedTuple

_PART, _DIRECTORY = "dump_part=", "dump_dir="


class Destination(NamedTuple):
    """A directory on a partition; None is the partition that the tool takes by default."""

    partition: int | None = None
    directory: str = "/"


def destination(words: str) -> Destination:
    """Where a dump tool with these parameters writes.

    Of several the last one counts that makes sense.
    """
    partition, directory = None, "/"
    for word in words.split():
        if word.startswith(_PART):
            number = _number(word.removeprefix(_PART))
            partition = number if number > 0 else partition
        elif word.startswith(_DIRECTORY):
            directory = "/" + word.removeprefix(_DIRECTORY).strip("/")
    return Destination(partition, directory)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0
