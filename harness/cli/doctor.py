"""doctor: is this host fit, and if not, what is missing?"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json
from harness.errors import ExitCode, HarnessError

EXAMPLES = examples("zharness doctor", "zharness doctor --json")

NEEDED_TOOLS = {
    "setpriv": "so that no QEMU outlives the harness",
    "debugfs": "to take a dump file from a disk image",
    "mke2fs": "to make file systems in disk images",
    "apt-get": "to fetch s390x packages and the kernel source",
    "dpkg-deb": "to unpack them",
    "s390x-linux-gnu-gcc": "to build kernels",
    "gcc": "to build kernels (host tools)",
    "make": "to build kernels",
    "patch": "to build kernels with patches",
    "bc": "to build kernels",
    "bison": "to build kernels",
    "flex": "to build kernels",
    "xz": "to unpack the kernel source",
}
USEFUL_TOOLS = {"ccache": "to build kernels again in a fraction of the time"}
MEMORY = 2 << 30
DISK = 12 << 30


@dataclass(frozen=True)
class Item:
    """One thing looked at; ``fix`` says how to get it."""

    name: str
    ok: bool
    found: str
    why: str
    fix: str = ""


def doctor(store: options.StorePath = None, json: options.Json = False) -> int:
    """Check tools, versions, memory and disk space."""
    items = list(_examine(options.store_path(store)))
    if json:
        say_json([asdict(item) for item in items])
    else:
        for item in items:
            mark = "ok     " if item.ok else "MISSING"
            say(f"{mark} {item.name}: {item.found}" + (f" ({item.why})" if not item.ok else ""))
            if not item.ok and item.fix:
                say(f"        {item.fix}")
    return ExitCode.PASS if all(item.ok for item in items) else ExitCode.ERROR


def _examine(store: Path) -> Iterator[Item]:
    from harness.build.command import PACKAGES, find_tool

    yield _qemu()
    for tool, why in NEEDED_TOOLS.items():
        fix = f"apt-get install {PACKAGES.get(tool, tool)}"
        try:
            yield Item(tool, True, find_tool(tool), why)
        except HarnessError:
            yield Item(tool, False, "not found", why, fix)
    for tool, why in USEFUL_TOOLS.items():
        found = shutil.which(tool)
        yield Item(f"{tool} (optional)", True, found or f"not found; it serves {why}", why)
    yield _libkdumpfile()
    yield Item("Python", True, platform.python_version(), "")
    yield _memory()
    yield _disk(store)
    yield _memory_files()


def _libkdumpfile() -> Item:
    from harness.judges import libkdumpfile

    why = "to hear a second opinion of dumps (--judges)"
    found = libkdumpfile.PYTHON if libkdumpfile.installed() else f"not found; it serves {why}"
    return Item("libkdumpfile (optional)", True, found, why)


def _qemu() -> Item:
    from harness.qemu.binary import find_qemu

    why = "to be the machine"
    try:
        binary = find_qemu()
    except HarnessError as error:
        return Item("QEMU", False, error.message, why, error.hint or "")
    return Item("QEMU", True, f"{binary.release} at {binary.path}", why)


def _memory() -> Item:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) << 10
    why = f"a run of the main job takes up to {MEMORY >> 30} GiB"
    return Item("memory", available >= MEMORY, f"{available / 1e9:.1f} GB available", why)


def _disk(store: Path) -> Item:
    why = f"kernel sources, builds and images take up to {DISK >> 30} GiB"
    fix = "name another place with --store or ZHARNESS_STORE"
    store = store.absolute()
    try:
        existing = next(path for path in (store, *store.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Item("disk", False, f"{store}: {error.strerror}", "for images", fix)
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        found = f"{store}: {existing} is no directory that can be written"
        return Item("disk", False, found, "for images", fix)
    return Item("disk", free >= DISK, f"{free / 1e9:.1f} GB free for {store}", why, fix)


def _memory_files() -> Item:
    """Guest memory is an anonymous memory file, so /dev/shm is not needed and not used."""
    try:
        os.close(os.memfd_create("zharness-doctor"))
    except OSError as error:
        return Item("memory files", False, f"memfd_create: {error.strerror}", "for guest memory")
    return Item("memory files", True, "memfd_create works; /dev/shm is not used", "")
