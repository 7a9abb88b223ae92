"""The command that starts gdb on a machine that a run keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import EvidenceError, HostError
from harness.evidence.held import Held, System
from harness.run.debugger import command_of

PLAN = {"scenario": {"expect": {}, "dump": {}}}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    vmlinux = tmp_path / "it's vmlinux"
    vmlinux.touch()
    inputs: dict[str, Any] = {
        "crashed kernel": {"release": "6.12", "vmlinux": {"path": str(tmp_path / "gone")}},
        "dump kernel": {"release": "6.12", "vmlinux": {"path": str(vmlinux)}},
    }
    (tmp_path / "run.json").write_text(json.dumps({"plan": PLAN, "inputs": inputs}))
    return tmp_path


@pytest.fixture
def programs(tmp_path: Path, monkeypatch) -> Path:
    """The only directory of the PATH, but for the shell's."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def install(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def held(system: System = System.DUMP) -> Held:
    return Held(os.getpid(), system, "stalled", "/run/control", "/run/gdb", 0x40000)


def test_gdb_gets_the_machine_and_the_symbols_where_they_are(evidence, programs):
    gdb = install(programs / "gdb-multiarch", "")
    quoted = str(evidence / "it's vmlinux").replace("'", "'\\''")
    assert command_of(evidence, held(), ["-batch"]) == [
        gdb,
        *("-ex", "set architecture s390:64-bit"),
        *("-ex", f"symbol-file '{quoted}' -o 0x40000"),
        *("-ex", "target remote /run/gdb"),
        "-batch",
    ]


def test_a_gdb_that_knows_s390_serves_too(evidence, programs):
    gdb = install(programs / "gdb", "exit 0")
    assert command_of(evidence, held(), [])[0] == gdb


@pytest.mark.parametrize("script", [None, "exit 1", "echo Undefined item >&2", "kill -9 $$"])
def test_without_one_the_message_says_how_to_get_it(evidence, programs, script):
    if script is not None:
        install(programs / "gdb", script)
    with pytest.raises(HostError, match="no gdb is installed that knows s390") as caught:
        command_of(evidence, held(), [])
    assert "gdb-multiarch" in (caught.value.hint or "")


def test_a_vmlinux_that_has_gone_is_named(evidence, programs):
    install(programs / "gdb-multiarch", "")
    with pytest.raises(EvidenceError, match=r"not there any more: .*gone"):
        command_of(evidence, held(System.CRASHED), [])
