"""The content that images/crash/plant plants: its layout, and code that writes it.

The layout is in docs/content.md. A header with its check exists only at its place, and nowhere else
in memory, not even in this program's own: a second copy would be taken for a misplaced page.
"""

import ctypes
import hashlib
import mmap
import struct
from _random import Random  # the module random imports half of the library

PAGE = 4096
MAGIC = b"\xe9zHcont\xa5"
VERSION = 1
FIELDS = struct.Struct(">8sHHIQIIQII")
CHECK_SIZE = 16
HEADER_SIZE = FIELDS.size + CHECK_SIZE
ANONYMOUS, TMPFS, RAMFS, BLOCK, MESSAGE, ZERO, LEDGER = range(1, 8)
NAMES = {
    ANONYMOUS: "anonymous memory",
    TMPFS: "tmpfs",
    RAMFS: "page cache of ramfs",
    BLOCK: "page cache of a block device",
    ZERO: "zeroed",
    LEDGER: "ledger",
}
NEXT_IS_ZERO = 1
ENTRY = struct.Struct(">Q")
KIND_SHIFT = 56
DIGEST_SIZE = 32
ENTRIES = (PAGE - HEADER_SIZE - DIGEST_SIZE) // ENTRY.size

# sizes of message texts: with the kernel's 48 bytes they fill slab objects of 128 to 4096 bytes;
# longer texts are split (Linux ipc/msgutil.c)
MESSAGE_SIZES = (80, 144, 208, 464, 976, 2000, 4048)
ROUNDS, PER_QUEUE = 4, 4  # 4 * 4048 bytes fit in a queue (msgmnb, 16384)
MESSAGES = [size for _ in range(ROUNDS) for size in MESSAGE_SIZES for _ in range(PER_QUEUE)]
MESSAGE_TYPE = struct.Struct("@l")  # bytes before the text in a struct msgbuf


class Writer:
    """Writes content of a seed.

    ``send(queue, buffer, size)`` sends a struct msgbuf with a text of ``size`` bytes to the queue
    with that number, and returns whether the kernel has message queues.
    """

    def __init__(self, seed, send):
        self.seed, self.send = seed, send

    def pages(self, kinds):
        """Write all pages; returns the ledger's entries for them."""
        zeroed = {frame for frame, _, _ in kinds.get(ZERO, ())}
        entries = []
        for kind, pages in sorted(kinds.items()):
            for index, (frame, area, page) in enumerate(pages):
                flags = NEXT_IS_ZERO if frame + 1 in zeroed else 0
                place = area.page(page)
                self._content(place, kind, flags, index, len(pages), frame * PAGE)
                entries.append(kind << KIND_SHIFT | frame)
        for _, area, page in kinds.get(ZERO, ()):
            ctypes.memset(area.address + page * PAGE, 0, PAGE)
        return entries

    def messages(self):
        """Send all messages; returns the ledger's entries for them."""
        buffer = mmap.mmap(-1, 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        MESSAGE_TYPE.pack_into(buffer, 0, 1)
        text = memoryview(buffer)[MESSAGE_TYPE.size :]
        for index, size in enumerate(MESSAGES):
            self._content(text[:size], MESSAGE, 0, index, len(MESSAGES), 0)
            there = self.send(index // PER_QUEUE, buffer, size)
            text[:] = bytes(len(text))  # from now on only the kernel has the text
            if not there:
                return []
        return [MESSAGE << KIND_SHIFT | size for size in MESSAGES]

    def ledger(self, area, entries):
        """Write the ``entries`` to the pages of ``area``, in the order of frames."""
        for part, (frame, page) in enumerate(sorted(area.frames(range(area.pages)).items())):
            place = area.page(page)
            self._header(place, LEDGER, 0, part, area.pages, frame * PAGE)
            for number, entry in enumerate(entries[part * ENTRIES : (part + 1) * ENTRIES]):
                ENTRY.pack_into(place, HEADER_SIZE + number * ENTRY.size, entry)
            digest = hashlib.blake2b(place[:-DIGEST_SIZE], digest_size=DIGEST_SIZE)
            place[-DIGEST_SIZE:] = digest.digest()

    def _content(self, place, *fields):
        """Header and body; the body depends on every field."""
        number = self._header(place, *fields)
        size = len(place) - HEADER_SIZE
        place[HEADER_SIZE:] = Random(number).getrandbits(size * 8).to_bytes(size, "big")

    def _header(self, place, kind, flags, index, total, address):
        """Write a header; returns it as a number."""
        size = len(place)
        packed = FIELDS.pack(MAGIC, VERSION, kind, flags, self.seed, index, total, address, size, 0)
        check = hashlib.blake2b(packed, digest_size=CHECK_SIZE).digest()
        place[: FIELDS.size] = packed
        place[FIELDS.size : HEADER_SIZE] = check
        return int.from_bytes(packed, "big") << CHECK_SIZE * 8 | int.from_bytes(check, "big")
