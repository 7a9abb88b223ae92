"""doctor: does this host have everything, and what is missing?"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json
from harness.errors import ExitCode, HostError

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.images.needs import Item

EXAMPLES = examples(
    "zharness doctor",
    "zharness doctor --json",
    "zharness doctor --debian-mirror http://HOST/debian",
)

USEFUL_TOOLS = {"ccache": "to build kernels again in less time"}


def doctor(
    store: options.StorePath = None,
    debian_mirror: options.DebianMirror = None,
    json: options.Json = False,
) -> int:
    """Check everything that the harness needs to build images and to run them.

    These are tools, versions, memory, disk space, and the mirror's packages that the store lacks.
    """
    options.use_mirror(debian_mirror)
    items = []
    for item in _examine(options.store_path(store)):
        items.append(item)
        if not json:
            _show(item)
    if json:
        say_json([asdict(item) for item in items])
    return ExitCode.PASS if all(item.ok for item in items) else ExitCode.ERROR


def _show(item: Item) -> None:
    mark = "ok     " if item.ok else "MISSING"
    why = f" ({item.why})" if item.why and not item.ok else ""
    say(f"{mark} {item.name}: {item.found}{why}")
    if item.fix and not item.ok:
        say(f"        {item.fix}")


def _examine(place: Path) -> Iterator[Item]:
    from harness.images.debian.apt import private_apt
    from harness.images.needs import Item, Lacking, examine
    from harness.images.provide import MAIN_JOB
    from harness.images.store import Store
    from harness.progress import NoProgress

    yield Item("Python", True, platform.python_version(), "")
    for tool, why in USEFUL_TOOLS.items():
        found = shutil.which(tool)
        yield Item(f"{tool} (optional)", True, found or f"not found; it is used {why}", why)
    yield _libkdumpfile()
    try:
        lacking = MAIN_JOB.lacking(Store(place, NoProgress()), NoProgress())
    except HostError as error:
        yield Item("images", False, error.message, "", error.hint or "")
        lacking = Lacking(machine=True)
    with private_apt() as apt:
        yield from examine(lacking, place, apt)


def _libkdumpfile() -> Item:
    from harness.images.needs import Item
    from harness.judges import libkdumpfile

    why = "to get a second opinion on dumps (--judges)"
    found = libkdumpfile.PYTHON if libkdumpfile.installed() else f"not found; it is used {why}"
    return Item("libkdumpfile (optional)", True, found, why)
