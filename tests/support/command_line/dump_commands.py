"""Every command that reads a dump."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

COMMANDS: dict[str, Callable[[Path], tuple[str | Path, ...]]] = {
    "info": lambda file: ("info", file),
    "check": lambda file: ("check", file),
    "compare": lambda file: ("compare", file, file),
    "convert": lambda file: ("convert", file, file.with_name("converted"), "--to", "elf"),
    "extract": lambda file: ("extract", file, "dmesg"),
}
