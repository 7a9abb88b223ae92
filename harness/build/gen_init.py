"""Initramfs lists in the format of the kernel's gen_init_cpio.

Reference: Linux ``usr/gen_init_cpio.c`` (usage text). ``${NAME}`` in a location is replaced.

::

    file <name> <location> <mode> <uid> <gid>
    dir <name> <mode> <uid> <gid>
    nod <name> <mode> <uid> <gid> <b|c> <major> <minor>
    slink <name> <target> <mode> <uid> <gid>
    pipe <name> <mode> <uid> <gid>
    sock <name> <mode> <uid> <gid>
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Template

from harness.build.cpio import Entry
from harness.errors import UsageError

_DEVICE_TYPES = {"b": stat.S_IFBLK, "c": stat.S_IFCHR}


def parse(path: Path, variables: Mapping[str, str]) -> Iterator[Entry]:
    """The entries that a list describes, in its order; reads the files it names.

    Raises UsageError naming list, line and field.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            yield _entry(words, variables)
        except _Mistake as mistake:
            raise UsageError(f"{path}:{number}: {mistake}") from None


class _Mistake(Exception):
    """What is wrong with a line."""


def _entry(words: list[str], variables: Mapping[str, str]) -> Entry:
    kind, *arguments = words
    if kind not in _KINDS:
        raise _Mistake(f"'{kind}' is none of {', '.join(_KINDS)}")
    names, make = _KINDS[kind]
    if len(arguments) != len(names):
        raise _Mistake(f"{kind} wants: {' '.join(names)}")
    fields = dict(zip(names, arguments, strict=True))
    numbers: dict[str, int] = {
        name: _number(name, fields[name], 8 if name == "mode" else 10)
        for name in ("mode", "uid", "gid", "major", "minor")
        if name in fields
    }
    return make(fields, numbers, variables)


def _number(name: str, text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise _Mistake(f"{name} '{text}' is no number") from None


def _file(fields: Mapping[str, str], numbers: Mapping[str, int], where: Mapping[str, str]) -> Entry:
    try:
        location = Template(fields["location"]).substitute(where)
        data = Path(location).read_bytes()
    except KeyError as error:
        raise _Mistake(f"location: there is no variable {error}") from None
    except ValueError:
        raise _Mistake(f"location '{fields['location']}': a $ that begins no variable") from None
    except OSError as error:
        raise _Mistake(f"location {error.filename}: {error.strerror}") from None
    return _plain(stat.S_IFREG, fields, numbers, data)


def _plain(
    kind: int, fields: Mapping[str, str], numbers: Mapping[str, int], data: bytes = b""
) -> Entry:
    return Entry(
        name=fields["name"].lstrip("/"),
        mode=kind | numbers["mode"],
        data=data,
        uid=numbers["uid"],
        gid=numbers["gid"],
        device=(numbers.get("major", 0), numbers.get("minor", 0)),
    )


def _nod(fields: Mapping[str, str], numbers: Mapping[str, int], _: Mapping[str, str]) -> Entry:
    if fields["dev_type"] not in _DEVICE_TYPES:
        raise _Mistake(f"dev_type '{fields['dev_type']}' is neither b nor c")
    return _plain(_DEVICE_TYPES[fields["dev_type"]], fields, numbers)


def _slink(fields: Mapping[str, str], numbers: Mapping[str, int], _: Mapping[str, str]) -> Entry:
    return _plain(stat.S_IFLNK, fields, numbers, fields["target"].encode())


def _of(kind: int) -> _Make:
    return lambda fields, numbers, _: _plain(kind, fields, numbers)


_Make = Callable[[Mapping[str, str], Mapping[str, int], Mapping[str, str]], Entry]
_OWNER = ("mode", "uid", "gid")
_KINDS: dict[str, tuple[tuple[str, ...], _Make]] = {
    "file": (("name", "location", *_OWNER), _file),
    "dir": (("name", *_OWNER), _of(stat.S_IFDIR)),
    "nod": (("name", *_OWNER, "dev_type", "major", "minor"), _nod),
    "slink": (("name", "target", *_OWNER), _slink),
    "pipe": (("name", *_OWNER), _of(stat.S_IFIFO)),
    "sock": (("name", *_OWNER), _of(stat.S_IFSOCK)),
}
