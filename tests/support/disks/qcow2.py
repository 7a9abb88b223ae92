"""Write images in QEMU's format qcow2."""

from __future__ import annotations

import struct
import zlib

CLUSTER = 1 << 16


def qcow2(content: bytes, *, packed: bool = False, **fields: int) -> bytes:
    """A version 3 image of ``content``; ``fields`` replace fields of the header.

    One L2 table must do: 512 MiB are the most.
    """
    l1_at, l2_at, data_at = CLUSTER, 2 * CLUSTER, 3 * CLUSTER
    entries, data = [], bytearray()
    for at in range(0, len(content), CLUSTER):
        piece = content[at : at + CLUSTER].ljust(CLUSTER, b"\0")
        if not any(piece):
            entries.append(0)
            continue
        here = data_at + len(data)
        if packed:
            deflate = zlib.compressobj(wbits=-12)
            stored = deflate.compress(piece) + deflate.flush()
            sectors = -(-len(stored) // 512)
            entries.append(1 << 62 | (sectors - 1) << 54 | here)
            data += stored.ljust(sectors * 512, b"\0")
        else:
            entries.append(1 << 63 | here)
            data += piece
    head = {
        "version": 3,
        "backing_at": 0,
        "backing_size": 0,
        "cluster_bits": 16,
        "size": len(content),
        "crypt": 0,
        "l1_entries": 1,
        "l1_at": l1_at,
        "refcounts_at": 0,
        "refcounts": 0,
        "snapshots": 0,
        "snapshots_at": 0,
        "incompatible": 0,
        "compatible": 0,
        "autoclear": 0,
        "order": 4,
        "length": 104,
    }
    header = b"QFI\xfb" + struct.pack(">IQIIQIIQQIIQQQQII", *(head | fields).values())
    tables = header.ljust(CLUSTER, b"\0") + struct.pack(">Q", 1 << 63 | l2_at).ljust(CLUSTER, b"\0")
    return tables + struct.pack(f">{len(entries)}Q", *entries).ljust(CLUSTER, b"\0") + bytes(data)
