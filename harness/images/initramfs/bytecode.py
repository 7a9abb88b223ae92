"""Python modules of the dump system, compiled beforehand.

Compiling the dump tool and what it imports inside the dump system costs memory that is not given
back: with 32 MiB in all, 5.2 instead of 2.8 MB stay available without it (measured after an IPL
with Linux 6.12 and Python 3.11).

Bytecode is the same on all architectures, but not in all versions of Python. So a Python of the
images' version makes it, not the one that runs the harness.

Reference: PEP 552 (unchecked hash-based .pyc files); a ``.pyc`` in the place of its source is
loaded like it (importlib, SourcelessFileLoader).
"""

from __future__ import annotations

import ast
import re
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from harness.errors import BuildError, UsageError
from harness.images.debian.packages import PYTHON, ROOT, unpacked
from harness.images.initramfs.cpio import Entry
from harness.images.store import Store
from harness.progress import Progress

_MODULE = re.compile(r"usr/lib/python(\d+\.\d+)/.+\.py")
# Runs in the other Python. In: name and source of each module. Out: bytecode of each, or what is
# wrong with it. Later versions of marshal also record which objects are shared in the process, so
# the same code would not always give the same bytes.
_PROGRAM = """
import importlib.util, marshal, sys
def compiled(name, source):
    try:
        code = compile(source, "/" + name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError) as error:
        return str(error)
    unchecked_hash = (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    return importlib.util.MAGIC_NUMBER + unchecked_hash + marshal.dumps(code, 2)
modules = eval(sys.stdin.read(), {})
print(ascii([compiled(*module) for module in modules]))
"""


@dataclass(frozen=True)
class Interpreter:
    """How to start a Python of the images' version; ``version`` is like 3.11."""

    argv: tuple[str, ...]
    version: str
    environment: dict[str, str] = field(default_factory=dict)


def images_python(store: Store, progress: Progress) -> Interpreter:
    """The images' own Python, of Debian's packages for this host.

    It runs with its own loader and C library, so the host's do not matter. Raises HostError
    if it cannot be fetched.
    """
    root = unpacked(store, progress, PYTHON).path / ROOT
    (loader,) = (path for path in root.glob("lib/*/ld*.so.*") if not path.is_symlink())
    (python,) = root.glob("usr/bin/python3.*")
    libraries = f"{loader.parent}:{root / 'usr' / 'lib' / loader.parent.name}"
    return Interpreter(
        (str(loader), "--library-path", libraries, str(python)),
        python.name.removeprefix("python"),
        {"PYTHONHOME": str(root / "usr")},
    )


def precompiled(
    entries: Iterable[Entry], interpreter: Callable[[], Interpreter]
) -> Iterator[Entry]:
    """``entries`` with bytecode for the modules of the interpreter's version.

    ``interpreter`` is called only if there are modules. Modules of another version stay source. So
    do empty files, which only mark places. Raises UsageError for a module that does not compile.
    """
    listed = list(entries)
    modules = [entry for entry in listed if entry.data and _version(entry)]
    bytecode = dict(_bytecode(modules, interpreter())) if modules else {}
    for entry in listed:
        if entry.data and (data := bytecode.get((entry.name, entry.data))):
            yield replace(entry, name=f"{entry.name}c", data=data)
        else:
            yield entry


def _version(entry: Entry) -> str | None:
    """The version of Python that a module is for; None if ``entry`` is not a module."""
    match = _MODULE.fullmatch(entry.name) if stat.S_ISREG(entry.mode) else None
    return match and match[1]


def _bytecode(
    entries: Iterable[Entry], interpreter: Interpreter
) -> Iterator[tuple[tuple[str, bytes], bytes]]:
    """Name and source of each module for this interpreter, with its bytecode."""
    modules = [(e.name, e.data) for e in entries if _version(e) == interpreter.version]
    done = subprocess.run(
        [*interpreter.argv, "-sSBc", _PROGRAM],
        input=ascii(modules),
        env={"LC_ALL": "C.UTF-8", **interpreter.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise BuildError(f"{interpreter.argv[-1]} cannot compile for the images: {why}")
    for (name, source), result in zip(modules, ast.literal_eval(done.stdout), strict=True):
        if isinstance(result, str):
            raise UsageError(f"/{name} in the initramfs does not compile: {result}")
        yield (name, source), result
