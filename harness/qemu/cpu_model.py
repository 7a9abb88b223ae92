"""Ask a QEMU whether it can emulate a CPU model, before a system is built for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from harness.errors import HostError, UsageError
from harness.qemu.binary import MACHINE_TYPE, QemuBinary

EVERY_QEMU_HAS = "max"
_SECONDS = 30
_SHOWN = 90  # characters of QEMU's words, which can be a list of a hundred features
_COMMANDS = ("qmp_capabilities", "query-cpu-definitions", "quit")


def require_cpu_model(binary: QemuBinary, model: str) -> None:
    """Raises UsageError, naming the models that there are, unless ``binary`` can emulate ``model``.

    ``model`` is a name, with features behind it: ``max,vx=off``. Raises HostError if QEMU does not
    answer.
    """
    if model == EVERY_QEMU_HAS:
        return
    answered, said = _ask(binary, model)
    if answered:
        return
    known, _ = _ask(binary, EVERY_QEMU_HAS)
    first = " ".join(said.split()).removeprefix(f"{binary.path.name}: ")
    raise UsageError(
        f"crashed.cpu_model: QEMU {binary.release} cannot emulate '{model}': "
        + (f"{first[:_SHOWN]}..." if len(first) > _SHOWN else first or "it said nothing"),
        hint=f"without KVM it can emulate {', '.join(known) or 'no model'}",
    )


def _ask(binary: QemuBinary, model: str) -> tuple[tuple[str, ...], str]:
    """The models that lack no feature, if QEMU starts with ``model``; and what it complained of."""
    argv = (
        *(str(binary.path), "-no-user-config", "-nodefaults", "-nographic", "-S"),
        *("-machine", MACHINE_TYPE, "-accel", "tcg", "-cpu", model, "-qmp", "stdio"),
    )
    try:
        done = subprocess.run(
            argv,
            input="".join(json.dumps({"execute": command}) + "\n" for command in _COMMANDS),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{binary.path}: no answer within {error.timeout:.0f} s") from error
    except OSError as error:
        raise HostError(f"{binary.path} cannot be run: {error.strerror}") from error
    return tuple(sorted(_emulated(done.stdout))), done.stderr


def _emulated(answers: str) -> Iterator[str]:
    for line in answers.splitlines():
        for each in _definitions(line):
            # a '-base' model is for a management program (QEMU target/s390x/cpu_models.c)
            if each.get("unavailable-features") == [] and not str(each["name"]).endswith("-base"):
                yield str(each["name"])


def _definitions(line: str) -> list[dict[str, Any]]:
    try:
        answer = json.loads(line)
    except ValueError:  # '-cpu help' makes QEMU print a list, and no QMP
        return []
    found = answer.get("return") if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []
