"""Initramfs lists in the format of the kernel's gen_init_cpio.

Reference: Linux ``usr/gen_init_cpio.c`` (usage text). ``${NAME}`` in a location is replaced.

::

    file <name> <location> <mode> <uid> <gid> [<hard links>]    (/dev/null is an empty file)
    dir <name> <mode> <uid> <gid>
    nod <name> <mode> <uid> <gid> <dev_type> <maj> <min>
    slink <name> <target> <mode> <uid> <gid>
    pipe <name> <mode> <uid> <gid>
    sock <name> <mode> <uid> <gid>
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from harness.errors import UsageError
from harness.host.fault import unusable
from harness.images.initramfs.cpio import Entry

_OWNER = ("mode", "uid", "gid")
_KINDS = {
    "file": (stat.S_IFREG, ("name", "location", *_OWNER)),
    "dir": (stat.S_IFDIR, ("name", *_OWNER)),
    "nod": (0, ("name", *_OWNER, "dev_type", "maj", "min")),
    "slink": (stat.S_IFLNK, ("name", "target", *_OWNER)),
    "pipe": (stat.S_IFIFO, ("name", *_OWNER)),
    "sock": (stat.S_IFSOCK, ("name", *_OWNER)),
}
_DEVICE_TYPES = {"b": stat.S_IFBLK, "c": stat.S_IFCHR}
# limits from include/linux/kdev_t.h (12 and 20 bits) and struct kuid_t
_NUMBERS = {"mode": (8, 0o7777), "uid": (10, 0xFFFFFFFE), "gid": (10, 0xFFFFFFFE)}
_DEVICE_NUMBERS = {"maj": (10, (1 << 12) - 1), "min": (10, (1 << 20) - 1)}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# the kernel unpacks these before any initramfs (usr/default_cpio_list)
_THERE_ANYWAY = ("", "dev", "root")


def parse(lists: Iterable[Path], variables: Mapping[str, str]) -> Iterator[Entry]:
    """The entries that ``lists`` describe together, in their order; reads the files they name.

    Raises UsageError, which names list, line and field. It does so, too, if the directory of a
    name comes later or is missing: the kernel would silently skip that entry (init/initramfs.c).
    """
    places = set(_THERE_ANYWAY)  # directories, and links that may lead to a directory
    for path in lists:
        for number, words in enumerate(_lines(path), 1):
            if not words or words[0].startswith("#"):
                continue
            try:
                entry = _entry(words, variables)
                for name in (entry.name, *entry.links):
                    _require_parent(name, places)
            except _Mistake as mistake:
                raise UsageError(f"{path}:{number}: {mistake}") from None
            if stat.S_ISDIR(entry.mode) or stat.S_ISLNK(entry.mode):
                places.add(entry.name)
            yield entry


class _Mistake(Exception):
    """What is wrong with a line."""


def _lines(path: Path) -> list[list[str]]:
    """The words of each line; only ASCII blanks separate them."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise unusable(str(path), error) from error
    return [[os.fsdecode(word) for word in line.split()] for line in lines]


def _entry(words: list[str], variables: Mapping[str, str]) -> Entry:
    kind, *arguments = words
    if kind not in _KINDS:
        raise _Mistake(f"'{kind}' is none of {', '.join(_KINDS)}")
    file_type, names = _KINDS[kind]
    further = arguments[len(names) :]
    if len(arguments) < len(names) or (further and kind != "file"):
        raise _Mistake(f"{kind} wants: {' '.join(names)}")
    fields = dict(zip(names, arguments, strict=False))
    mode, uid, gid = (_number(name, fields[name], *_NUMBERS[name]) for name in _NUMBERS)
    entry = Entry(_name(fields["name"]), file_type | mode, uid=uid, gid=gid)
    if kind == "file":
        data = _content(fields["location"], variables)
        return replace(entry, data=data, links=tuple(map(_name, further)))
    if kind == "slink":
        return replace(entry, data=os.fsencode(fields["target"]))
    if kind == "nod":
        return _node(entry, fields)
    return entry


def _name(text: str) -> str:
    name = text.strip("/")
    if not name:
        raise _Mistake(f"name '{text}' names nothing")
    return name


def _number(name: str, text: str, base: int, limit: int) -> int:
    digits = "01234567" if base == 8 else "0123456789"  # int() would take 0o17, 1_0 and -1, too
    if text.strip(digits):
        raise _Mistake(f"{name} '{text}' is no {'octal ' if base == 8 else ''}number")
    number = int(text, base)
    if number > limit:
        raise _Mistake(f"{name} {text} is too large")
    return number


def _content(location: str, variables: Mapping[str, str]) -> bytes:
    try:
        path = _VARIABLE.sub(lambda match: variables[match[1]], location)
        # an empty file on every host, even if this name leads to something else there
        return b"" if path == os.devnull else Path(path).read_bytes()
    except KeyError as error:
        known = ", ".join(sorted(variables))
        raise _Mistake(f"location: no variable {error}, only {known or 'none at all'}") from None
    except ValueError:
        raise _Mistake(f"location {location!r} is no path") from None
    except OSError as error:
        refused = unusable(f"location {error.filename}", error)
        if isinstance(refused, UsageError):
            raise _Mistake(refused.message) from None
        raise refused from error


def _node(entry: Entry, fields: Mapping[str, str]) -> Entry:
    if fields["dev_type"] not in _DEVICE_TYPES:
        raise _Mistake(f"dev_type '{fields['dev_type']}' is neither b nor c")
    major, minor = (_number(name, fields[name], *_DEVICE_NUMBERS[name]) for name in _DEVICE_NUMBERS)
    mode = entry.mode | _DEVICE_TYPES[fields["dev_type"]]
    return replace(entry, mode=mode, device=(major, minor))


def _require_parent(name: str, places: set[str]) -> None:
    parent = str(PurePosixPath(name).parent).removeprefix(".")
    if parent not in places:
        raise _Mistake(f"name: no line before this one makes the directory /{parent}")
