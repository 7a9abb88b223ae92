"""ngdump: a dump file on an ext4 partition, and the file ``ngdump.meta`` that names it.

References: s390-tools ``zdump/ngdump.c`` (read_meta_from_file, validate_meta),
``zdump/dfi_ngdump.c``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness.dump.byte_source import ByteSource
from harness.dump.disk.ext_files import ExtFile, FileSystem
from harness.dump.reader import Dump
from harness.errors import EvidenceError
from harness.progress import Progress

META = "ngdump.meta"
META_VERSION = "1"
SHA256SUM = "sha256sum"
_META_SIZE = 1 << 16  # a few lines
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Meta:
    """What ngdump.meta says; ``file`` is None as long as no dump was made to its end.

    zipl writes the file without a name in it (s390-tools ``zipl/src/bootmap.c``,
    ngdump_create_meta). ngdump writes the dump, and then the file again with the dump's name
    (``zipl/dracut/99ngdump/ngdump.sh``). If it is interrupted, the dump stays without a name. If
    the machine stops just then, the file may be empty.
    """

    file: str | None
    sha256sum: str | None


def read_meta(file_system: FileSystem) -> Meta | None:
    """None without an ngdump.meta; raises EvidenceError as ``parse_meta``."""
    file = file_system.find(META)
    return None if file is None else parse_meta(file_system.content(file))


def find_named(file_system: FileSystem, meta: Meta) -> ExtFile | None:
    """The file that ``meta`` names; None if it is not there, or may be outside of the partition."""
    if meta.file is None or ".." in meta.file.split("/"):
        return None
    return file_system.find(meta.file)


def parse_meta(content: ByteSource) -> Meta:
    """Raises EvidenceError for a version that is not known, or a dump without its checksum."""
    values, text = {}, content.upto(0, _META_SIZE)
    if not text.strip(b"\0\n"):
        return Meta(None, None)
    for line in text.decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            values[name] = value
    version, file, checksum = (values.get(name) for name in ("version", "file", SHA256SUM))
    if version != META_VERSION:
        raise EvidenceError(f"{content.name}: version is {version}, not {META_VERSION}")
    if file and not checksum:
        raise EvidenceError(f"{content.name}: names {file}, but not its {SHA256SUM}")
    return Meta(file or None, checksum or None)


def checksum_fits(dump: Dump, progress: Progress) -> bool | None:
    """Whether the dump has the SHA-256 that its ngdump.meta says; None without ngdump.meta.

    Reads the whole dump. Raises EvidenceError if it cannot be read to its end.
    """
    expected = dump.container_facts.get(SHA256SUM)
    if expected is None:
        return None
    return has_sha256(dump.content, str(expected), progress)


def has_sha256(content: ByteSource, expected: str, progress: Progress) -> bool:
    """Whether this is the SHA-256, in hexadecimal, of all content."""
    digest = hashlib.sha256()
    with progress.task("check the dump's SHA-256", content.size, "B") as task:
        for at in range(0, content.size, _CHUNK):
            digest.update(content.read(at, min(_CHUNK, content.size - at)))
            task.update(at)
    return digest.hexdigest() == expected.lower()
