"""The plugin is compiled once, for the API of this QEMU; without a compiler there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness.errors import BuildError, HostError, UsageError
from harness.images import hold_plugin as module
from harness.images.hold_plugin import ENVIRONMENT, Intercept, chosen, hold_plugin
from harness.images.store import Store
from harness.progress import NoProgress
from harness.qemu.binary import QemuBinary

TAKES = """echo '{"event": "SHUTDOWN"}'"""
REFUSES = "echo 'qemu: -plugin: invalid option'; exit 1"
OLD, NEW = (7, 2, 22), (10, 0, 3)


@pytest.fixture
def qemu(tmp_path: Path):
    """Makes a QEMU of some version that takes plugins, or does not."""

    def make(version: tuple[int, int, int] = OLD, script: str = TAKES) -> QemuBinary:
        path = tmp_path / "qemu"
        path.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        path.chmod(0o755)
        return QemuBinary(path, version)

    return make


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    return Store(tmp_path / "store", NoProgress())


@pytest.mark.parametrize(("release", "version"), [(OLD, 1), (NEW, 2)])
def test_it_is_compiled_for_the_api_of_this_qemu(store, qemu, release, version):
    with hold_plugin(store, qemu(release)).open("rb") as file:
        elf = ELFFile(file)
        (symbol,) = elf.get_section_by_name(".dynsym").get_symbol_by_name("qemu_plugin_version")
        (at,) = elf.address_offsets(symbol["st_value"], 4)
        file.seek(at)
        assert int.from_bytes(file.read(4), sys.byteorder) == version


def test_it_is_compiled_once_for_each_qemu(store, qemu):
    first = hold_plugin(store, qemu())
    assert hold_plugin(store, qemu()) == first
    assert hold_plugin(store, qemu(script=f"{TAKES} # another")) != first


def test_without_a_compiler_there_is_none(store, qemu, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert hold_plugin(store, qemu()) is None


@pytest.mark.parametrize("word", ["plugin", "auto"])
def test_a_qemu_that_takes_no_plugin_is_an_error_only_if_it_is_wanted(
    store, qemu, monkeypatch, word
):
    monkeypatch.setenv(ENVIRONMENT, word)
    if word == "plugin":
        with pytest.raises(HostError, match="invalid option"):
            hold_plugin(store, qemu(script=REFUSES))
    else:
        assert hold_plugin(store, qemu(script=REFUSES)) is None


@pytest.mark.parametrize("word", ["plugin", "auto"])
def test_one_that_cannot_be_compiled_is_an_error_only_if_it_is_wanted(
    store, qemu, monkeypatch, word
):
    monkeypatch.setenv(ENVIRONMENT, word)
    monkeypatch.setattr(module, "_OPTIONS", ("-Wno-such-option", "-fno-such-thing"))
    if word == "plugin":
        with pytest.raises(BuildError):
            hold_plugin(store, qemu())
    else:
        assert hold_plugin(store, qemu()) is None


def test_the_user_can_do_without(store, qemu, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "gdbstub")
    assert hold_plugin(store, qemu()) is None


def test_other_words_are_refused(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "magic")
    with pytest.raises(UsageError, match="auto, plugin, gdbstub"):
        chosen()
    monkeypatch.setenv(ENVIRONMENT, "")
    assert chosen() is Intercept.AUTO
