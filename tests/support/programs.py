"""ELF files that are programs, or libraries, of s390x: only what says so."""

from __future__ import annotations

import struct

_PHDR = struct.Struct(">IIQQQQQQ")
_HEADER = 64
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NULL, _NEEDED, _STRTAB, _STRSZ = 0, 1, 5, 10
S390, X86_64 = 22, 62


def elf(
    needed: tuple[str, ...] = (),
    interpreter: str | None = None,
    machine: int = S390,
    tail: bytes = b"",
) -> bytes:
    """A dynamic program if it has an ``interpreter``, a library if it only needs others."""
    kinds = [_LOAD, *([_INTERP] if interpreter else []), *([_DYNAMIC] if needed else [])]
    start = _HEADER + len(kinds) * _PHDR.size
    strings = b"\0"
    tags = []
    for name in needed:
        tags.append((_NEEDED, len(strings)))
        strings += name.encode() + b"\0"
    loader = (interpreter or "").encode() + b"\0"
    dynamic_at, loader_at = start + len(strings), 0
    tags += [(_STRTAB, start), (_STRSZ, len(strings)), (_NULL, 0)]
    dynamic = b"".join(struct.pack(">QQ", *tag) for tag in tags)
    loader_at = dynamic_at + len(dynamic)
    content = strings + dynamic + loader + tail
    places = {
        _LOAD: (0, start + len(content)),
        _INTERP: (loader_at, len(loader)),
        _DYNAMIC: (dynamic_at, len(dynamic)),
    }
    headers = b"".join(
        _PHDR.pack(kind, 4, at, at, at, size, size, 1)
        for kind in kinds
        for at, size in [places[kind]]
    )
    ident = b"\x7fELF\x02\x02\x01" + bytes(9)
    fields = (3, machine, 1, 0, _HEADER, 0, 0, _HEADER, _PHDR.size, len(kinds), 64, 0, 0)
    return ident + struct.pack(">HHIQQQIHHHHHH", *fields) + headers + content
