"""``dump_mem``, the parameter of zfcpdump that limits a dump, as docs/dump-tool.md describes it.

The promise of a run is made of it, so it is read here again, apart from the dump tool's own reader.
"""

from __future__ import annotations

from harness.s390x.lowcore import PAGE_SIZE

_NAME, _ALL = "dump_mem=", "all"
_UNSAID = "1"  # zipl -d writes it where it was given no size


def dump_mem(words: str) -> int | None:
    """The bytes of memory, in whole pages, that a dump tool with these parameters dumps.

    None means all. Of several parameters the last one counts that makes sense.
    """
    limit = None
    for word in words.split():
        value = word.removeprefix(_NAME)
        if not word.startswith(_NAME) or value in ("", _UNSAID):
            continue
        size = None if value == _ALL else _number(value)
        if size is None or size >= PAGE_SIZE:
            limit = None if size is None else size - size % PAGE_SIZE
    return limit


def _number(text: str) -> int:
    """A number as Python writes it, such as 67108864 or 0x4000000; 0 for anything else."""
    try:
        return int(text, 0)
    except ValueError:
        return 0
