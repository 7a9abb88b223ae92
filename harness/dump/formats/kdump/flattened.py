"""Makedumpfile's flattened format, for pipes: each record has data and its place in the dump."""

from __future__ import annotations

from collections.abc import Iterator

from harness.dump.byte_source import ByteSource
from harness.dump.disk.fragments import FragmentedSource, Piece, last_wins
from harness.dump.formats.kdump.c_kdump import (
    DATA_HEADER_SIZE,
    END_FLAG_FLAT_HEADER,
    FLAT_HEADER_SIZE,
    FLAT_SIGNATURE,
    TYPE_FLAT_HEADER,
    VERSION_FLAT_HEADER,
    c_kdump,
)
from harness.errors import EvidenceError
from harness.limits import exceeded, flat_records_for

_MAX_END = 1 << 62


def is_flattened(content: ByteSource) -> bool:
    """Whether ``content`` begins with makedumpfile's signature of the format."""
    return content.upto(0, len(FLAT_SIGNATURE)) == FLAT_SIGNATURE


def flattened(content: ByteSource) -> ByteSource:
    """The file that the records of ``content`` describe; bytes of no record are zero.

    Raises EvidenceError, naming offset and field, if ``content`` is truncated or not flattened;
    LimitError if it has more records than makedumpfile would write for so many bytes.
    """
    name = content.name
    head = content.read(0, len(c_kdump.makedumpfile_header), "flattened format's header")
    header = c_kdump.makedumpfile_header(head)
    kind = (header.type, header.version)
    if kind != (TYPE_FLAT_HEADER, VERSION_FLAT_HEADER):
        raise EvidenceError(f"{name}: offset 16: type and version are {kind}, not (1, 1)")
    pieces = list(_pieces(content))
    size = max((piece.at + piece.size for piece in pieces), default=0)
    return FragmentedSource(content, last_wins(pieces), size, name)


def _pieces(content: ByteSource) -> Iterator[Piece]:
    """The data of each record; in the last record every field is END_FLAG_FLAT_HEADER."""
    at, limit = FLAT_HEADER_SIZE, flat_records_for(content.size)
    for _ in range(limit):
        record = c_kdump.makedumpfile_data_header(content.read(at, DATA_HEADER_SIZE, "record"))
        if record.offset == record.buf_size == END_FLAG_FLAT_HEADER:
            return
        if not (0 <= record.offset < _MAX_END and 0 < record.buf_size < _MAX_END):
            raise EvidenceError(
                f"{content.name}: offset {at:#x}: record with offset {record.offset}, buf_size "
                f"{record.buf_size}"
            )
        start = at + DATA_HEADER_SIZE
        at = start + record.buf_size
        if at > content.size:
            raise EvidenceError(
                f"{content.name}: truncated: a record ends at offset {at:#x}, the file at "
                f"{content.size:#x}"
            )
        yield Piece(record.offset, record.buf_size, start)
    raise exceeded(content.name, "has more records than makedumpfile makes", limit)
