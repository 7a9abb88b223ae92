"""The kernel's log in a dump, in the format of dmesg.

The printk ring buffer of Linux 5.10 and later: a ring of descriptors, one per record, whose
texts are blocks in a ring of data. References: Linux ``kernel/printk/printk_ringbuffer.[ch]``;
``Documentation/admin-guide/kdump/vmcoreinfo.rst`` for the names in VMCOREINFO.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from harness.dump.linux.crashed_kernel import Kernel
from harness.errors import EvidenceError
from harness.limits import limits, require

_ID_MASK = (1 << 62) - 1  # the two bits above are the descriptor's state
_COMMITTED, _FINALIZED = 1, 2
_NO_TEXT = 1  # set in both positions of a record without a block
_MAX_BITS = 31  # of log_buf_len= (kernel/printk/printk.c, LOG_BUF_LEN_MAX)
_MAX_STRUCT = 4096  # of a prb_desc and a printk_info, which have 24 and 88
_WORD = 8
_PANIC = re.compile(r"Kernel panic - not syncing.*")


@dataclass(frozen=True)
class Record:
    """``nanoseconds`` since boot; ``text`` has no time stamp and may have several lines."""

    sequence: int
    nanoseconds: int
    text: str

    @property
    def seconds(self) -> float:
        return self.nanoseconds / 1e9

    def lines(self) -> Iterator[str]:
        """The lines, as dmesg shows them."""
        seconds, rest = divmod(self.nanoseconds, 10**9)
        for line in self.text.split("\n"):
            yield f"[{seconds:5}.{rest // 1000:06}] {line}"


def panic_in(record: Record) -> str | None:
    """The reason of a panic in this text; None if there is no panic."""
    match = _PANIC.search(record.text)
    return match and match[0]


def read_log(kernel: Kernel) -> Iterator[Record]:
    """All complete records, the oldest first.

    Raises EvidenceError if the ring buffer is not where VMCOREINFO says, or is not valid.
    """
    return iter(_Ring(kernel))


class _Ring:
    def __init__(self, kernel: Kernel) -> None:
        info = kernel.info
        self._kernel, self._name = kernel, kernel.dump.name
        ring = kernel.number(info.symbol("prb"))
        descs = ring + info.offset("printk_ringbuffer.desc_ring")
        data = ring + info.offset("printk_ringbuffer.text_data_ring")
        counter = info.offset("atomic_long_t.counter")
        self._count_bits = self._bits(descs, "prb_desc_ring.count_bits")
        self._size_bits = self._bits(data, "prb_data_ring.size_bits")
        self._descs = kernel.number(descs + info.offset("prb_desc_ring.descs"))
        self._infos = kernel.number(descs + info.offset("prb_desc_ring.infos"))
        self._data = kernel.number(data + info.offset("prb_data_ring.data"))
        self._tail = kernel.number(descs + info.offset("prb_desc_ring.tail_id") + counter)
        self._head = kernel.number(descs + info.offset("prb_desc_ring.head_id") + counter)
        self._desc_size, self._info_size = (
            self._size(name) for name in ("prb_desc", "printk_info")
        )
        self._state = info.offset("prb_desc.state_var") + counter
        block = info.offset("prb_desc.text_blk_lpos")
        self._begin = block + info.offset("prb_data_blk_lpos.begin")
        self._next = block + info.offset("prb_data_blk_lpos.next")
        self._seq, self._time = info.offset("printk_info.seq"), info.offset("printk_info.ts_nsec")
        self._text_len = info.offset("printk_info.text_len")
        self._room = 1 << self._size_bits  # texts do not share bytes
        require(self._name, "bytes of kernel log", self._room, limits().log_text)

    def _size(self, struct: str) -> int:
        size = self._kernel.info.size(struct)
        if size > _MAX_STRUCT:
            raise EvidenceError(f"{self._name}: kernel log: SIZE({struct}) is {size}")
        return size

    def _bits(self, ring: int, member: str) -> int:
        """A size as a power of two, an unsigned int."""
        data = self._kernel.read(ring + self._kernel.info.offset(member), 4)
        bits = int.from_bytes(data, "big")
        if not 0 < bits <= _MAX_BITS:
            raise EvidenceError(f"{self._name}: kernel log: {member} is {bits}: no ring buffer")
        return bits

    def __iter__(self) -> Iterator[Record]:
        count = (self._head - self._tail & _ID_MASK) + 1
        if count > 1 << self._count_bits:
            raise EvidenceError(
                f"{self._name}: kernel log: tail_id {self._tail:#x} to head_id {self._head:#x} "
                f"are more than {1 << self._count_bits} records"
            )
        require(self._name, "records in the kernel's log", count, limits().log_records)
        for number in range(self._tail, self._tail + count):
            record = self._record(number & _ID_MASK)
            if record is not None:
                yield record

    def _record(self, number: int) -> Record | None:
        index = number % (1 << self._count_bits)
        desc = self._kernel.read(self._descs + index * self._desc_size, self._desc_size)
        state = self._word(desc, self._state)
        if state & _ID_MASK != number or state >> 62 not in (_COMMITTED, _FINALIZED):
            return None
        info = self._kernel.read(self._infos + index * self._info_size, self._info_size)
        length = self._unpack(">H", info, self._text_len)
        text = self._text(number, self._word(desc, self._begin), self._word(desc, self._next))
        return Record(
            self._word(info, self._seq),
            self._word(info, self._time),
            text[:length].decode(errors="replace"),
        )

    def _text(self, number: int, begin: int, after: int) -> bytes:
        if begin & after & _NO_TEXT:
            return b""
        size = 1 << self._size_bits
        start, end = begin % size, after % size
        if begin >> self._size_bits != after >> self._size_bits and end:
            start = 0  # a block that would wrap around is at the beginning instead
        elif not end:
            end = size
        if not start + _WORD <= end:
            raise EvidenceError(
                f"{self._name}: kernel log: the text of record {number:#x} is at {begin:#x} to "
                f"{after:#x} of the data ring"
            )
        self._room -= end - start
        if self._room < 0:
            raise EvidenceError(
                f"{self._name}: kernel log: the texts up to that of record {number:#x} take more "
                f"than the data ring has, {size} bytes"
            )
        block = self._kernel.read(self._data + start, min(end - start, _WORD + 0xFFFF))
        if self._word(block, 0) != number:
            raise EvidenceError(
                f"{self._name}: kernel log: the text of record {number:#x} belongs to "
                f"{self._word(block, 0):#x}"
            )
        return block[_WORD:]

    def _word(self, data: bytes, at: int) -> int:
        return self._unpack(">Q", data, at)

    def _unpack(self, form: str, data: bytes, at: int) -> int:
        try:
            (value,) = struct.unpack_from(form, data, at)
        except (struct.error, OverflowError) as error:
            raise EvidenceError(f"{self._name}: kernel log: VMCOREINFO: {error}") from error
        return int(value)
