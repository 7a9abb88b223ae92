"""Read the report that images/system/witness prints in a running system.

The system may print anything; what is not understood is left out, and there is a limit for
everything. Formats: proc(5); Linux fs/proc/array.c (stat), fs/proc_namespace.c (mountinfo),
kernel/module/procfs.c (modules), net/ipv4/tcp_ipv4.c and net/unix/af_unix.c (/proc/net).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.evidence import witnesses
from harness.evidence.witnesses import (
    Counters,
    Protocol,
    WitnessedFile,
    WitnessedModule,
    WitnessedMount,
    WitnessedSocket,
    WitnessedTask,
    Witnesses,
)

MAX_REPORT = 4 << 20  # bytes, unpacked
SECTIONS = (
    *("files", "sha256", "modules", "build-ids", "tcp", "tcp6", "unix", "mounts", "journal"),
    *("log", "counters", "tasks", "end"),
)
"""In the order in which they are printed."""

# a line of base64; the last one may be shorter, and no more than "AA=="
_PACKED = re.compile(r"(?=.{4,76}\Z)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_GZIP = 16 + zlib.MAX_WBITS
_KTHREAD, _WORKER = 0x0020_0000, 0x0000_0020  # PF_*: Linux include/linux/sched.h
_N = "[0-9]{1,20}"
_STAT = re.compile(rf"({_N}) \((.*)\) ([A-Za-z])((?: -?{_N}){{19,}})")
_LOAD = re.compile(rf"[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+/({_N}) [0-9]+")  # /proc/loadavg
_FLAGS, _START = 5, 18  # fields of /proc/PID/stat behind the state
_MODULE = re.compile(rf"(\S+) ({_N}) \S+ \S+ (\S+) 0x([0-9a-fA-F]{{1,16}})(?: .*)?")
_BUILD_ID = re.compile(r"/sys/module/([^/]+)/notes/\S+ ([0-9a-f]+)")
_NOTE_HEADER = 16 * 2  # hexadecimal digits before the build-id: struct elf_note, "GNU\0"
_MOUNT = re.compile(rf"({_N}) ({_N}) ({_N}:{_N}) (\S+) (\S+) (\S+)(?: \S+)* - (\S+) (\S*)(?: .*)?")
_TCP_LISTEN = re.compile(
    rf" *{_N}: ([0-9A-F]+):([0-9A-F]{{4}}) \S+ 0A \S+ \S+ \S+ +{_N} +{_N} ({_N})(?: .*)?"
)
_UNIX_LISTEN = re.compile(rf"\S+: \S+ \S+ 00010000 \S+ \S+ +({_N})(?: (.*))?")  # __SO_ACCEPTCON
_FILE = re.compile(rf"({_N}) ({_N}|-) (/.*)")
_SHA256 = re.compile(r"([0-9a-f]{64}) [ *](/.*)")

Part = TypeVar("Part", bound=BaseModel)
Fields = Mapping[str, object]


def unpack(output: str) -> str | None:
    """The report in what the system printed; None if it is damaged, or not whole."""
    lines = (line.strip() for line in output.splitlines())
    packed = "".join(line for line in lines if _PACKED.fullmatch(line))
    try:
        unpacker = zlib.decompressobj(_GZIP)
        content = unpacker.decompress(base64.b64decode(packed), MAX_REPORT)
    except (binascii.Error, zlib.error):
        return None
    if not unpacker.eof or not content.rstrip().endswith(b"\n== end"):
        return None
    return content.decode(errors="replace")


def parse(report: str) -> Witnesses:
    """What an unpacked report says; a section that it does not have is None."""
    found = _sections(report)
    parts = {
        "counters": _counters(found["counters"]) if "counters" in found else None,
        "tasks": _each(found, "tasks", _task, WitnessedTask, witnesses.MAX_TASKS),
        "modules": _modules(found),
        "mounts": _each(found, "mounts", _mount, WitnessedMount, witnesses.MAX_MOUNTS),
        "sockets": _sockets(found),
        "log": _lines(found, "log"),
        "journal": _lines(found, "journal"),
        "files": _files(found),
    }
    return Witnesses.model_validate(parts)


def unescaped(text: str) -> str:
    """A field of mountinfo: space, tab, newline and backslash are octal there (mangle_path)."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), text)


def _sections(report: str) -> dict[str, list[str]]:
    """Each section's lines. A name counts only where it may come: content cannot go back."""
    found: dict[str, list[str]] = {}
    left = list(SECTIONS)
    lines: list[str] = []
    for line in report.split("\n"):
        name = line.removeprefix("== ")
        if name != line and name in left:
            left = left[left.index(name) + 1 :]
            lines = found.setdefault(name, [])
        else:
            lines.append(line)
    return found


def _valid(model: type[Part], parts: Iterable[Fields | None], most: int) -> list[Part]:
    """The first ``most`` of those that the model accepts."""
    accepted: list[Part] = []
    for part in parts:
        if part is None or len(accepted) == most:
            continue
        try:
            accepted.append(model.model_validate(part))
        except ValidationError:
            continue
    return accepted


def _each(
    sections: Mapping[str, Sequence[str]],
    name: str,
    read: Callable[[str], Fields | None],
    model: type[Part],
    most: int,
) -> list[Part] | None:
    return _valid(model, map(read, sections[name]), most) if name in sections else None


def _task(line: str) -> Fields | None:
    if (found := _STAT.fullmatch(line)) is None:
        return None
    numbers = [int(number) for number in found[4].split()]
    return {
        "pid": int(found[1]),
        "comm": found[2],
        "state": found[3],
        "start": numbers[_START],
        "kernel": bool(numbers[_FLAGS] & _KTHREAD),
        "worker": bool(numbers[_FLAGS] & _WORKER),
    }


def _counters(lines: Sequence[str]) -> Counters | None:
    words = {line.partition(" ")[0]: line.split(" ")[1:] for line in lines}
    try:
        told = {
            "forks": int(words["processes"][0]),
            "threads": next(int(found[1]) for line in lines if (found := _LOAD.fullmatch(line))),
            "reclaimed": _reclaimed(words),
        }
        return Counters.model_validate(told)
    except (IndexError, KeyError, StopIteration, ValueError):  # ValidationError is a ValueError
        return None


def _reclaimed(words: Mapping[str, Sequence[str]]) -> int | None:
    """By all who reclaim: kswapd, direct, khugepaged, proactive."""
    twice = ("pgsteal_anon", "pgsteal_file")  # the same again, by kind of page
    found = [
        int(value[0])
        for name, value in words.items()
        if name.startswith("pgsteal_") and name not in twice
    ]
    return sum(found) if found else None


def _modules(sections: Mapping[str, Sequence[str]]) -> list[WitnessedModule] | None:
    notes = filter(None, map(_BUILD_ID.fullmatch, sections.get("build-ids", ())))
    ids = {note[1]: note[2][_NOTE_HEADER:] or None for note in notes}

    def module(line: str) -> Fields | None:
        if (found := _MODULE.fullmatch(line)) is None:
            return None
        return {
            "name": found[1],
            "size": int(found[2]),
            "state": found[3],
            "address": int(found[4], 16),
            "build_id": ids.get(found[1]),
        }

    return _each(sections, "modules", module, WitnessedModule, witnesses.MAX_MODULES)


def _mount(line: str) -> Fields | None:
    if (found := _MOUNT.fullmatch(line)) is None:
        return None
    number, parent, device, root, point, options, kind, source = found.groups()
    return {
        "id": int(number),
        "parent": int(parent),
        "device": device,
        "root": unescaped(root),
        "point": unescaped(point),
        "read_only": "ro" in options.split(","),
        "kind": kind,
        "source": unescaped(source),
    }


def _sockets(sections: Mapping[str, Sequence[str]]) -> list[WitnessedSocket] | None:
    there = [protocol for protocol in Protocol if protocol in sections]
    if not there:
        return None
    found = (
        _unix(line) if protocol is Protocol.UNIX else _tcp(line, protocol)
        for protocol in there
        for line in sections[protocol]
    )
    return _valid(WitnessedSocket, found, witnesses.MAX_SOCKETS)


def _tcp(line: str, protocol: Protocol) -> Fields | None:
    if (found := _TCP_LISTEN.fullmatch(line)) is None:
        return None
    try:
        # each word of the address is printed as a number, and the system is big-endian
        address = ipaddress.ip_address(bytes.fromhex(found[1]))
    except ValueError:
        return None
    return {
        "protocol": protocol,
        "address": f"{address}:{int(found[2], 16)}",
        "inode": int(found[3]),
    }


def _unix(line: str) -> Fields | None:
    if (found := _UNIX_LISTEN.fullmatch(line)) is None:
        return None
    return {"protocol": Protocol.UNIX, "address": found[2] or "", "inode": int(found[1])}


def _files(sections: Mapping[str, Sequence[str]]) -> list[WitnessedFile] | None:
    if "files" not in sections:
        return None
    sums = filter(None, map(_SHA256.fullmatch, sections.get("sha256", ())))
    digests = {found[2]: found[1] for found in sums}

    def file(line: str) -> Fields | None:
        if (found := _FILE.fullmatch(line)) is None or found[3] not in digests:
            return None
        size, offset, path = found.groups()
        return {
            "path": path,
            "size": int(size),
            "sha256": digests[path],
            "offset": None if offset == "-" else int(offset),
        }

    by_path = {line.partition("/")[2]: line for line in sections["files"]}
    return _valid(WitnessedFile, map(file, by_path.values()), witnesses.MAX_FILES)


def _lines(sections: Mapping[str, Sequence[str]], name: str) -> list[str] | None:
    if name not in sections:
        return None
    return [line[:4096] for line in sections[name] if line][-witnesses.MAX_LINES :]
