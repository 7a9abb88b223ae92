"""Limits on what a dump may have or take. Every genuine dump is within them.

A dump may come from anybody, and a few bytes can claim anything. Readers go through data piece by
piece and keep little; these limits are for what they keep, or go through one by one. A genuine
dump reaches none of them. ``--limit-factor``, or ``ZHARNESS_LIMIT_FACTOR`` in the environment,
multiplies them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields

from harness.errors import LimitError, UsageError

OPTION, VARIABLE = "--limit-factor", "ZHARNESS_LIMIT_FACTOR"
_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Numbers, sizes in bytes, times in seconds of CPU time."""

    cpus: int = 512  # the most that Linux for s390 can be configured for (NR_CPUS)
    notes: int = 1 << 16  # Linux writes 12 for each CPU (arch/s390/kernel/crash_dump.c)
    note_bytes: int = 16 * _MIB  # 512 CPUs take less than 2 MiB
    vmcoreinfo: int = _MIB  # Linux has a page for it (include/linux/vmcore_info.h)
    log_records: int = 1 << 20  # CONFIG_LOG_BUF_SHIFT goes up to 25, and 32 bytes are for one
    log_text: int = 256 * _MIB  # eight times what CONFIG_LOG_BUF_SHIFT allows; log_buf_len= more
    page_runs: int = 1 << 20  # runs of pages of a filtered dump, and one more for each PER_RUN
    flat_records: int = 1 << 16  # of a flattened dump, and one more for each PER_RECORD
    s390_entry: int = 8 * _MIB  # zipl's dump tool compresses 1 MiB at a time
    file_systems: int = 128  # partitions that a GPT has by default
    dump_files: int = 1 << 15  # dump.N in one directory; zfcpdump 2 stops when the disk is full
    directory_bytes: int = 16 * _MIB  # of debugfs's output for a directory
    block_map_bytes: int = 32 * _MIB  # of a file's blocks: 1 TB on ext3 takes 10 MiB
    debugfs_seconds: int = 4  # enough for 100 GB on ext3
    memory: int = 220 * _MIB  # that a command may take, without its programs
    seconds: int = 15  # for a file of up to SMALL bytes
    kernel_image: int = 128 * _MIB  # a kernel image; Debian's has 10 MiB
    kernel_unpacked: int = 256 * _MIB  # of everything in it that looks compressed, unpacked
    kernel_payloads: int = 64  # places in it that look like the begin of a compressed kernel

    def times(self, factor: int) -> Limits:
        """The limits, each ``factor`` times as large."""
        return Limits(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


# what a larger file may have and take in addition: tables and time grow with the size
SMALL = 64 * _MIB
PER_RUN = 4096  # bytes of a dump; a page of memory is seldom less when it is compressed
PER_RECORD = 4096  # bytes; makedumpfile writes as many or more in nearly all of its records
_BYTES_PER_SECOND, _BYTES_PER_BYTE = 10 * _MIB, 16

MAX_FACTOR = 1 << 20

# a context variable, because every reader needs the limits and a command has only one set
_LIMITS: ContextVar[Limits | None] = ContextVar("limits", default=None)


def limits() -> Limits:
    """The limits that apply; raises UsageError if the environment's factor is not valid."""
    return _LIMITS.get() or Limits().times(factor_of(os.environ.get(VARIABLE) or "1", VARIABLE))


def factor_of(text: str, name: str) -> int:
    """The factor in a user's ``text``; raises UsageError, with ``name``, if it is not valid."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_FACTOR:
        raise UsageError(f"{name}: '{text}' is no whole number from 1 to {MAX_FACTOR}")
    return int(text)


@contextmanager
def multiplied(factor: int) -> Iterator[None]:
    """Limits ``factor`` times the usual ones, for the duration of a ``with`` block."""
    token = _LIMITS.set(Limits().times(factor))
    try:
        yield
    finally:
        _LIMITS.reset(token)


def seconds_for(*sizes: int) -> int:
    """The CPU time that files of these sizes may take."""
    return limits().seconds + sum(max(0, size - SMALL) for size in sizes) // _BYTES_PER_SECOND


def memory_for(*sizes: int) -> int:
    """Bytes that the tables and buffers for files of these sizes may take."""
    return limits().memory + sum(max(0, size - SMALL) for size in sizes) // _BYTES_PER_BYTE


def page_runs_for(size: int) -> int:
    """Runs of pages that a dump of ``size`` bytes may have."""
    return limits().page_runs + size // PER_RUN


def flat_records_for(size: int) -> int:
    """Records that a flattened dump of ``size`` bytes may have."""
    return limits().flat_records + size // PER_RECORD


def require(name: str, what: str, found: int, limit: int) -> None:
    """Raise LimitError if the dump ``name`` has more of ``what`` than ``limit``."""
    if found > limit:
        raise exceeded(name, f"has {found} {what}", limit)


def exceeded(name: str, what: str, limit: int) -> LimitError:
    """The error for ``what``, which exceeds ``limit``; it tells how to raise the limit."""
    return LimitError(f"{name}: {what}, the limit is {limit}: {OPTION} (or {VARIABLE}) raises it")
