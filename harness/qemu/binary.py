"""Find the host's QEMU, and check that it is suitable."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError

ENVIRONMENT = "ZHARNESS_QEMU"
DEFAULT_NAME = "qemu-system-s390x"
MACHINE_TYPE = "s390-ccw-virtio"
# the oldest QEMU this was shown to work with (Debian 12)
MINIMUM_QEMU = (7, 2)

# QEMU's own seccomp filter (qemu-options.hx): a guest that breaks out of the emulation can start no
# program, gain no privilege and not take over the host's schedule
SANDBOX = (
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
)

_PROBE_SECONDS = 30
_QUIT = b'{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
_SHOWN = 200  # characters of what a QEMU says that does not start
_INSTALL = (
    "apt-get install qemu-system-s390x (on Debian 12 that brings qemu-system-misc), "
    f"or set {ENVIRONMENT} to a qemu-system-s390x"
)


@dataclass(frozen=True)
class QemuBinary:
    """An executable that emulates s390x, and its (major, minor, micro) version.

    ``sandbox``: whether its sandbox (``SANDBOX``) works on this host.
    """

    path: Path
    version: tuple[int, int, int]
    sandbox: bool = False

    @property
    def release(self) -> str:
        """The version as people write it: ``7.2.22``."""
        return _dotted(self.version)

    def identity(self) -> str:
        """Release and digest, which identify this QEMU. Raises HostError.

        The digest is of the content: a distribution may fix a QEMU without a new version, and
        paths and times prove nothing. What a wrapper script starts is not seen.
        """
        try:
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise HostError(f"{self.path} cannot be read: {error.strerror}") from error
        return f"{self.release} {digest}"

    def require_start(self, *options: str) -> None:
        """Start a machine with a little memory, and end it at once; raises HostError if it fails.

        ``options`` are for QEMU, too.

        A QEMU that tells its version can still be unable to run: no memory, no permission.
        """
        machine = ("-machine", MACHINE_TYPE, "-m", "64", "-S", "-nodefaults", "-display", "none")
        said = _output(self.path, *machine, *options, "-qmp", "stdio", said=_QUIT)
        if '"SHUTDOWN"' not in said:
            last = said.strip().rpartition("\n")[2][:_SHOWN] or "nothing"
            raise HostError(f"{self.path} does not start a machine; it said: {last}")


def find_qemu(minimum: tuple[int, ...] = MINIMUM_QEMU) -> QemuBinary:
    """The QEMU named by ``ZHARNESS_QEMU`` (path or name), else the first one on PATH.

    Raises HostError if there is none, or if it cannot be run, is older than ``minimum``, or
    emulates something else.
    """
    path = _locate(os.environ.get(ENVIRONMENT) or DEFAULT_NAME)
    version = _version(path)
    if version < minimum:
        raise HostError(
            f"{path} is version {_dotted(version)}; at least {_dotted(minimum)} is needed",
            hint=_INSTALL,
        )
    # every target's QEMU prints the same version line; only its machine types tell them apart.
    # If the sandbox is missing, or does not work, QEMU ends before it prints anything
    sandbox = _has_machine(path, *SANDBOX)
    if not sandbox and not _has_machine(path):
        raise HostError(
            f"{path} does not emulate s390x: it has no machine type {MACHINE_TYPE}", hint=_INSTALL
        )
    return QemuBinary(path, version, sandbox)


def _has_machine(path: Path, *options: str) -> bool:
    return MACHINE_TYPE in _output(path, *options, "-machine", "help").split()


def _locate(name: str) -> Path:
    found = shutil.which(name)
    if found is not None:
        return Path(found).absolute()
    if "/" in name and Path(name).exists():
        raise HostError(f"{name} is not an executable file", hint=_INSTALL)
    raise HostError(f"{name} was not found", hint=_INSTALL)


def _version(path: Path) -> tuple[int, int, int]:
    output = _output(path, "--version")
    match = re.match(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        first = output.partition("\n")[0]
        raise HostError(f"{path} is not a QEMU: --version printed '{first}'", hint=_INSTALL)
    return int(match[1]), int(match[2]), int(match[3])


def _output(path: Path, *arguments: str, said: bytes = b"") -> str:
    try:
        done = subprocess.run(
            [path, *arguments],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"no answer within {error.timeout:.0f} s"
        raise HostError(f"{path} cannot be run: {what}", hint=_INSTALL) from error
    except OSError as error:
        raise HostError(f"{path} cannot be run: {error.strerror}", hint=_INSTALL) from error
    return done.stdout.decode(errors="replace")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
