"""Write a dump of any form to the disk, to a partition or to a file."""

import errno
import mmap
import os
import time

from . import machine
from .machine import PAGE, SECTOR, DumpError
from .source import ReadError

ZEROS = memoryview(bytes(64 << 10)).cast("Q")
PROGRESS_SECONDS = 0.5  # of a clock that stops while the machine is played


def copy(form, writer, buffer, hsa_size):
    """Write a dump: HSA part, HSA release, the rest, the first page. Returns Progress.

    A form (Elf, StandAlone, Compressed) has ``size`` (None: not known in advance),
    ``parts(hsa_size)``: two lists of tuples that end with a size, for the part in the HSA and for
    the rest; ``copy(part, ...)``; ``finish(writer)``, which writes what follows the parts; and
    ``first_page()``.
    """
    saved, rest = form.parts(hsa_size)
    # the memory in the HSA is always read
    core = form.core
    mapped = saved and buffer.fd is not None and core.may_map and core.has_several_cpus()
    progress = Progress(sum(part[-1] for part in saved + rest) + PAGE)
    when = ""
    try:
        for part in saved:
            form.copy(part, writer, buffer, progress)
        machine.release_hsa()
        when = " after the HSA was released"
        if mapped:
            machine.say("the memory behind the HSA is mapped")
            core.source.mapped = True
        for part in rest:
            form.copy(part, writer, buffer, progress)
    except ReadError as error:
        where = core.place(error.offset)
        raise DumpError(f"cannot read {where}{when}: {error.reason}") from error
    form.finish(writer)
    writer.sync()
    first = buffer.view[:PAGE]
    first[:] = bytes(form.first_page())
    writer.holes = False
    writer.write(first, 0)
    writer.sync()
    progress.add(PAGE)
    return progress


def copy_range(source, offset, size, writer, target, buffer, progress, change=None):
    """Copy ``size`` bytes at ``offset`` of ``source`` to ``target``; ``change`` may change them."""
    for view in source.pieces(offset, size, buffer):
        if change is not None:
            change(view, target)
        writer.write(view, target)
        progress.add(len(view))
        target += len(view)


class Writer:
    """Writes at offsets from ``base``, without the page cache if alignment allows.

    ``room``: how many bytes there is room for; None if unknown. ``sector``: bytes of a sector of
    the disk, to which writes without the page cache must be aligned.
    """

    def __init__(self, path, base=0, room=None, holes=False, flags=0, sector=SECTOR):
        self.fd = os.open(path, os.O_RDWR | flags, 0o600)
        try:
            self.direct_fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError:  # a file system without O_DIRECT
            self.direct_fd = self.fd
        self.base, self.room, self.holes, self.sector = base, room, holes, sector
        self.on_full = None  # called when the disk is full; returns if there is space again

    def write(self, view, offset):
        """Write all of ``view`` (page-aligned memory) at ``offset``."""
        if self.holes and is_zero(view):
            return
        if self.room is not None and offset + len(view) > self.room:
            raise DumpError(
                f"Disk too small: the dump has more than {offset} bytes, "
                f"the partition has room for {self.room}"
            )
        done = 0
        while done < len(view):
            at = self.base + offset + done
            rest = view[done:]
            aligned = not any(value % self.sector for value in (at, len(rest), done))
            try:
                done += os.pwrite(self.direct_fd if aligned else self.fd, rest, at)
            except OSError as error:
                if error.errno != errno.ENOSPC or self.on_full is None:
                    raise
                self.on_full()

    def sync(self):
        os.fsync(self.fd)

    def close(self):
        for fd in {self.fd, self.direct_fd}:
            os.close(fd)


class Stream:
    """Writes data in sequence, from ``position`` on, in whole sectors."""

    SIZE = 128 << 10

    def __init__(self, writer, position):
        self.writer, self.written, self.used = writer, position, 0
        self.buffer = memoryview(mmap.mmap(-1, self.SIZE))

    @property
    def position(self):
        """The position of the next byte."""
        return self.written + self.used

    def skip(self, size):
        """Leave out this many bytes (whole sectors); only after a flush."""
        self.written += size

    def append(self, data):
        rest = memoryview(data)
        while rest:
            count = min(len(rest), self.SIZE - self.used)
            self.buffer[self.used : self.used + count] = rest[:count]
            self.used += count
            rest = rest[count:]
            if self.used == self.SIZE:
                self._write()

    def flush(self):
        """Write the buffered data, and zeros up to the end of its last sector."""
        self.append(bytes(-self.used % self.writer.sector))
        self._write()

    def _write(self):
        self.writer.write(self.buffer[: self.used], self.written)
        self.written, self.used = self.position, 0


def is_zero(view):
    """Whether all bytes are zero."""
    # as numbers of 64 bits, because a machine of QEMU compares bytes (CLC) five times slower
    end = len(view) // 8 * 8
    numbers = view[:end].cast("Q")
    for at in range(0, len(numbers), len(ZEROS)):
        part = numbers[at : at + len(ZEROS)]
        if part != ZEROS[: len(part)]:
            return False
    return not any(view[end:])


class Progress:
    """Prints a console line from time to time: MB, percent, MB/s, time left."""

    def __init__(self, total):
        self.total, self.done = total, 0
        self.start = self.last = time.monotonic()

    def add(self, count):
        self.done += count
        now = time.monotonic()
        if now - self.last >= PROGRESS_SECONDS:
            self.last = now
            self.show()

    def show(self):
        rate = self.rate()
        left = (self.total - self.done) / rate / 1e6 if rate else 0
        machine.say(
            f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, "
            f"{100 * self.done // self.total} %, {rate:.1f} MB/s, {left:.0f} s left"
        )

    def seconds(self):
        return max(1e-3, time.monotonic() - self.start)

    def rate(self):
        return self.done / 1e6 / self.seconds()
