"""The section [crashed]: full systems, and what contradicts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.images.kernel.spec import Role
from harness.images.system.spec import GuestFile
from harness.scenario.crashed import Crashed
from harness.schema_words import first_fault

SSH = {"key": "key", "host_key": "ssh-ed25519 AAAA"}
OWN = {"disk": "disk.qcow2", "ssh": SSH, "load": "scsi"}


@pytest.mark.parametrize(
    ("fields", "full"),
    [
        ({}, False),
        ({"system": "debian"}, True),
        ({"system": "debian", "suite": "trixie", "packages": ["stress"]}, True),
        ({"system": "debian", "files": ["a => /etc/a"], "first_boot": "b"}, True),
        ({"system": "debian", "debug_symbols": True}, True),
        ({"system": "debian", "workload": "fsync", "trigger": "halt"}, True),
        ({"workload": "./load"}, False),
        ({"system": "debian", "source": "linux-source-6.1"}, True),
        ({"system": "debian", "kernel": "bzImage", "load": "scsi"}, True),
        (OWN, True),
        ({**OWN, "load": "direct", "kernel": "bzImage"}, True),
        ({"kernel": "debian@trixie", "trigger": "operator"}, False),
    ],
)
def test_systems(fields: dict[str, Any], full: bool):
    assert Crashed.model_validate(fields).is_full is full


@pytest.mark.parametrize(
    ("fields", "tells"),
    [
        ({}, False),
        ({"witnesses": True}, True),
        ({"system": "debian"}, False),
        ({"system": "debian", "witnesses": True}, True),
        ({"system": "debian", "debug_symbols": True}, True),
        ({"system": "debian", "debug_symbols": True, "witnesses": False}, False),
        ({"system": "debian", "source": "linux-source-6.1"}, True),
        ({**OWN, "vmlinux": "vmlinux"}, True),
        (OWN, False),
    ],
)
def test_a_full_system_is_asked_what_can_be_found_in_the_dump(fields: dict[str, Any], tells: bool):
    assert Crashed.model_validate(fields).tells is tells


def test_a_full_system_has_a_kernel_that_can_run_it():
    built = {"source": "linux-source-6.1", "config": ["CONFIG_BTRFS_FS=y"]}
    small, full = (
        Crashed.model_validate(built),
        Crashed.model_validate({**built, "system": "debian"}),
    )
    assert small.kernel_spec.role is Role.CRASHED
    assert full.kernel_spec == replace(small.kernel_spec, role=Role.SYSTEM)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"system": "fedora"}, "system"),
        ({"suite": "trixie"}, "suite: needs a full system"),
        ({"packages": ["stress"]}, "packages: needs a full system"),
        ({"files": ["a => /b"]}, "files: needs a full system"),
        ({"first_boot": "a"}, "first_boot: needs a full system"),
        ({"debug_symbols": True}, "debug_symbols: needs a full system"),
        ({"trigger": "hung"}, "trigger: hung does not work on a minimal system"),
        ({"system": "debian", "trigger": "init-killed"}, "trigger: init-killed does not work on a"),
        ({**OWN, "trigger": "boot-panic", "load": "direct", "kernel": "k"}, "trigger: boot-panic"),
        ({"frozen": True, "trigger": "boot-panic"}, "frozen: trigger boot-panic leaves no time"),
        ({"workload": "fsync"}, "workload: fsync does not run on a minimal system"),
        ({"system": "debian", "workload": "busy"}, "workload: busy does not run on a full system"),
        ({"workload": "many-cpus", "smp": 1}, "smp: workload many-cpus needs 2 CPUs"),
        ({"workload": "lazy"}, "no workload 'lazy'"),
        ({"ssh": SSH}, "ssh: needs a full system"),
        ({"system": "debian", "ssh": SSH}, "ssh: belongs to a disk of your own"),
        ({"system": "debian", "memory": "256M"}, "memory: a full system needs 512M"),
        ({"system": "debian", "content": 1}, "content: only the minimal system"),
        ({"system": "debian", "suite": "../etc"}, "no name of a suite"),
        ({"system": "debian", "files": ["a"]}, "does not say where a file goes"),
        ({"system": "debian", "files": ["a => b"]}, "is no place for"),
        ({"system": "debian", "files": ["a => /b/../c"]}, "is no place for"),
        ({"system": "debian", "files": ["a => /"]}, "is no place for"),
        ({"system": "debian", "files": ["a => /b\x1b"]}, "is no place for"),
        ({"system": "debian", "debug_symbols": True, "kernel": "k"}, "debug_symbols: are those"),
        ({"disk": "d", "load": "scsi"}, "disk: needs crashed.ssh"),
        ({**OWN, "system": "debian"}, "system: the disk is given"),
        ({**OWN, "packages": ["x"]}, "packages: the disk is given"),
        ({**OWN, "source": "linux-source-6.1"}, "kernel: the disk is given"),
        ({**OWN, "kernel": "k"}, "kernel: the disk is given"),
        ({**OWN, "load": "direct"}, "load: a disk of your own"),
        ({**OWN, "ssh": {"key": "key"}}, "host_key"),
        ({**OWN, "ssh": {**SSH, "user": "a b"}}, "user"),
        ({**OWN, "ssh": {**SSH, "host_key": "a\nb"}}, "is one line"),
        ({"kernel": "debian", "system": "debian"}, "kernel: 'debian' has its drivers as modules"),
        ({"kernel": "debian", "load": "scsi"}, "load: kernel 'debian' has its SCSI drivers"),
        ({"kernel": "debian", "trigger": "lkdtm-bug"}, "trigger: lkdtm-bug needs LKDTM"),
        ({"kernel": "debian@sid", "trigger": "oops"}, "trigger: oops needs LKDTM"),
    ],
)
def test_contradictions(fields: dict[str, Any], what: str):
    with pytest.raises(ValidationError) as raised:
        Crashed.model_validate(fields)
    assert what in first_fault(raised.value)


NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1)


@given(NAMES, st.lists(NAMES, min_size=1, max_size=4))
def test_a_file_for_the_guest_is_read_as_it_is_written(host: str, parts: list[str]):
    file = GuestFile(Path(host), PurePosixPath("/opt", *parts))
    assert GuestFile.parse(str(file)) == file
