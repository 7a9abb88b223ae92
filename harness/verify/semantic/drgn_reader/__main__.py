"""Reads the kernel in a dump: ``DUMP VMLINUX [CRASH [MODULES]]``; see ``process``.

With CRASH, the directory with the witnesses of a crash, it reads what these tell, and compares the
code of modules with their files below MODULES. Writes a JSON object with one part, or its fault, to
each line of the standard output.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from drgn import ObjectNotFoundError, Program

from harness.dump.detect import open_dump
from harness.dump.reader import Dump
from harness.errors import HarnessError
from harness.evidence.witnesses import Witnesses
from harness.verify.semantic.drgn_reader.log import read_log, read_names
from harness.verify.semantic.drgn_reader.memory import read_slabs, read_zones
from harness.verify.semantic.drgn_reader.system.files import read_files
from harness.verify.semantic.drgn_reader.system.modules import read_modules
from harness.verify.semantic.drgn_reader.system.mounts import read_mounts
from harness.verify.semantic.drgn_reader.system.sockets import read_sockets
from harness.verify.semantic.drgn_reader.system.threads import read_threads
from harness.verify.semantic.drgn_reader.target import open_kernel
from harness.verify.semantic.drgn_reader.tasks import read_cpus, read_stacks, read_tasks

Reader = Callable[[Program, Dump], Any]

READERS: dict[str, Reader] = {
    "cpus": read_cpus,
    "log": read_log,
    "names": read_names,
    "tasks": read_tasks,
    "zones": read_zones,
    "slabs": read_slabs,
    "stacks": read_stacks,
}
_HOST = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO)


def main(path: Path, vmlinux: Path, crash: Path | None = None, modules: Path | None = None) -> None:
    readers = READERS if crash is None else system_readers(crash, modules)
    with open_dump(path) as dump:
        try:
            program = open_kernel(dump, path, vmlinux)
        except Exception as error:
            _raise_if_host(error)
            _tell({"faults": dict.fromkeys(readers, _line(error))})
            return
        for part, read in readers.items():
            try:
                _tell({part: _plain(read(program, dump))})
            except (AttributeError, ObjectNotFoundError) as error:  # by vmlinux, not by the dump
                _tell({"unknown": {part: _line(error)}})
            except Exception as error:
                _raise_if_host(error)
                _tell({"faults": {part: _line(error)}})


def system_readers(crash: Path, modules: Path | None) -> dict[str, Reader]:
    """Readers of what the witnesses in the directory ``crash`` tell."""
    witnesses = Witnesses.load(crash)
    paths = [file.path for file in (witnesses.files if witnesses else None) or ()]
    return {
        "threads": lambda program, _: read_threads(program),
        "modules": lambda program, _: read_modules(program, modules),
        "mounts": lambda program, _: read_mounts(program),
        "sockets": lambda program, _: read_sockets(program),
        "log": read_log,
        "files": lambda program, _: read_files(program, paths),
    }


def _raise_if_host(error: Exception) -> None:
    """A fault of this host is not the dump's fault: it ends the process."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _HOST):
        raise error


def _tell(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def _plain(facts: Any) -> Any:
    if isinstance(facts, tuple):
        return [_plain(item) for item in facts]
    return asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else facts


def _line(error: Exception) -> str:
    if isinstance(error, HarnessError):  # its message says it all
        return error.message
    return f"{type(error).__name__}: {error}".replace("\n", "; ")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
