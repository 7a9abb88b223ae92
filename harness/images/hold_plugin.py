"""Compile the plugin with which QEMU holds a CPU; see images/plugin/hold.c."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import BuildError, HostError, UsageError
from harness.host.paths import data_dir
from harness.images.command import Tools
from harness.images.store import Store
from harness.qemu.binary import QemuBinary
from harness.qemu.held_cpu import option

ENVIRONMENT = "ZHARNESS_INTERCEPT"
PLUGIN = "hold.so"
_COMPILER = "gcc"
_OPTIONS = ("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
_NEWER_API = (9, 0)  # from here on QEMU refuses plugins of version 1 of its API


class Intercept(StrEnum):
    """How the harness stops a machine for which it answers."""

    AUTO = "auto"  # the plugin where it works
    PLUGIN = "plugin"
    GDBSTUB = "gdbstub"


def chosen() -> Intercept:
    """What $ZHARNESS_INTERCEPT says; raises UsageError."""
    word = os.environ.get(ENVIRONMENT) or Intercept.AUTO
    try:
        return Intercept(word)
    except ValueError:
        words = ", ".join(Intercept)
        raise UsageError(f"{ENVIRONMENT}={word}: it must be one of {words}") from None


def hold_plugin(store: Store, binary: QemuBinary) -> Path | None:
    """The plugin for this QEMU, compiled if it is missing; None if there is none on this host.

    None also if this QEMU does not take it, or if the user wants none. Raises BuildError or
    HostError if the user wants it and it cannot be had.
    """
    wanted = chosen()
    if wanted is Intercept.GDBSTUB or (
        wanted is Intercept.AUTO and shutil.which(_COMPILER) is None
    ):
        return None
    source = data_dir() / "images/plugin/hold.c"
    version = 2 if binary.version >= _NEWER_API else 1
    options = (*_OPTIONS, f"-DPLUGIN_VERSION={version}")
    inputs = {
        "source": hashlib.sha256(source.read_bytes()).hexdigest(),
        "options": options,
        "machine": platform.machine(),
        "qemu": binary.identity(),
    }

    def build(target: Path, log: Path) -> Mapping[str, Any]:
        tools = Tools(log, "the plugin for QEMU")
        tools.run([_COMPILER, *options, "-o", str(target / PLUGIN), str(source)])
        binary.require_start("-plugin", option(target / PLUGIN))
        return {"origin": "images/plugin/hold.c"}

    try:
        return store.get("plugin", inputs, build).path / PLUGIN
    except (BuildError, HostError):
        if wanted is Intercept.PLUGIN:
            raise
        return None
