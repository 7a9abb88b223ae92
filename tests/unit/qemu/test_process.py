"""Errors before QEMU runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import clock
from harness.errors import HostError, QemuDied
from harness.qemu import last_words
from harness.qemu.binary import QemuBinary
from harness.qemu.process import Qemu
from harness.qemu.ram import GuestRam
from harness.qemu.spec import MachineSpec

SPEC = MachineSpec(memory=1 << 20, cpus=1)


@pytest.fixture
def ram() -> Iterator[GuestRam]:
    with GuestRam.create(SPEC.memory) as memory:
        yield memory


def start(path: Path, ram: GuestRam, directory: Path) -> None:
    clock.now()  # whose thread stays, once there is one
    threads = set(threading.enumerate())  # some may be those of other tests, about to end
    binary = QemuBinary(path, (7, 2, 0))
    try:
        with Qemu.start(binary, SPEC, ram, directory, name="fake"):
            pytest.fail("started")
    finally:
        assert set(threading.enumerate()) <= threads


def test_a_host_without_setpriv_is_told(
    ram: GuestRam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="setpriv is not installed"):
        start(tmp_path / "qemu", ram, tmp_path)


def test_qemu_that_does_not_exist(ram: GuestRam, tmp_path: Path):
    with pytest.raises(QemuDied, match=r"'fake' ended on its own with exit status 127; .*qemu"):
        start(tmp_path / "qemu", ram, tmp_path)
    argv = json.loads((tmp_path / "qemu-argv.json").read_text())
    assert argv[0] == str(tmp_path / "qemu")


def test_the_error_has_the_last_lines_of_qemu(ram: GuestRam, tmp_path: Path):
    fake = tmp_path / "qemu"
    fake.write_text("#!/bin/sh\nfor i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3\n")
    fake.chmod(0o755)
    with pytest.raises(QemuDied, match=r"status 3; it said: line 3 / line 4 .* / line 7$"):
        start(fake, ram, tmp_path)


def test_endless_output_of_qemu_is_limited(ram: GuestRam, tmp_path: Path):
    fake = tmp_path / "qemu"
    fake.write_text("#!/bin/sh\nyes 'no such queue' | head -n 1000000 >&2\necho the end; exit 3\n")
    fake.chmod(0o755)
    with pytest.raises(QemuDied, match=r"status 3; it said: no such queue .* / the end$"):
        start(fake, ram, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_000


def test_a_grandchild_that_lives_on_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(last_words, "END_SECONDS", 0.1)
    words = last_words.LastWords("fake")
    grandchild = os.dup(words.sink)
    os.write(grandchild, b"one\ntwo\nthree\n")
    assert words.lines(2) == ["two", "three"]
    os.close(grandchild)


def test_no_directory(ram: GuestRam, tmp_path: Path):
    with pytest.raises(HostError, match=r"console\.log cannot be written: No such file"):
        start(tmp_path / "qemu", ram, tmp_path / "none")
