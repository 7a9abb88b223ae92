"""A program that the user gives."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError, UsageError
from harness.images.initramfs.program import require_program

LOAD, INTERP, S390, X86_64 = 1, 3, 22, 62


def program(*kinds: int, machine: int = S390, wide: int = 2, order: int = 2) -> bytes:
    head = b"\x7fELF" + bytes([wide, order, 1]) + bytes(9)
    fields = struct.pack(">HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, len(kinds), 0, 0, 0)
    return head + fields + b"".join(struct.pack(">I52x", kind) for kind in kinds)


@pytest.mark.parametrize("data", [b"#!/bin/sh\n", program(LOAD, LOAD)], ids=["script", "static"])
def test_what_the_dump_system_runs(tmp_path: Path, data: bytes):
    path = tmp_path / "a program: mine"
    path.write_bytes(data)
    require_program(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "neither a script nor an ELF program"),
        (b"\x7fELF", "neither a script nor an ELF program"),
        (b"text", "neither a script nor an ELF program"),
        (program(LOAD, machine=X86_64), "is not of s390x"),
        (program(LOAD, wide=1), "is not of s390x"),
        (program(LOAD, order=1), "is not of s390x"),
        (program(LOAD, INTERP), "needs a dynamic linker"),
    ],
)
def test_what_it_cannot_run_is_refused(tmp_path: Path, data: bytes, what: str):
    path = tmp_path / "program"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=what):
        require_program(path)


def test_what_is_no_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        with pytest.raises(UsageError):
            require_program(path)


@given(st.binary(max_size=200).map(lambda data: b"\x7fELF\x02\x02" + data))
def test_anything_is_a_program_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("given") / "program"
    path.write_bytes(data)
    with suppress(HarnessError):
        require_program(path)
