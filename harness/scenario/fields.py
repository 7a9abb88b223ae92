"""Types of single fields of a scenario: how they are written, and which values they take."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from harness.errors import UsageError
from harness.faults.table import fault_of
from harness.images.kernel import configuration
from harness.images.system.spec import GuestFile
from harness.images.zipl.choice import require_choice
from harness.s390x.zipl import SECTOR_SIZES
from harness.scenario.options import Written
from harness.scenario.sizes import format_size, parse_size
from harness.scenario.strict import refusal
from harness.triggers.table import trigger_named
from harness.triggers.workloads import workload_of


def _size(value: object) -> int:
    try:
        return parse_size(str(value))
    except ValueError as error:
        raise refusal(str(error)) from None


def _wwpn(value: object) -> int:
    try:
        return int(str(value), 0)
    except ValueError:
        raise refusal(f"'{value}' is no WWPN; write 0x500507630300c562") from None


def _known(name: str, find: Callable[[str], object]) -> str:
    try:
        find(name)
    except UsageError as error:
        raise refusal(f"{error.message}; {error.hint}") from None
    return name


def _configuration_line(line: str) -> str:
    try:
        configuration.parse(line)
    except UsageError as error:
        raise refusal(f"{error.message}; {error.hint}") from None
    return line


def _zipl(choice: str) -> str:
    try:
        return require_choice(choice)
    except UsageError as error:
        raise refusal(f"{error.message}; {error.hint}") from None


_SUITE = re.compile(r"[a-z][a-z0-9-]{0,31}")


def _file_into(text: str) -> str:
    try:
        GuestFile.parse(text)
    except UsageError as error:
        raise refusal(f"{error.message}; {error.hint}") from None
    return text


def _suite(name: str) -> str:
    if not _SUITE.fullmatch(name):
        raise refusal(f"'{name}' is no name of a suite, such as bookworm")
    return name


def _host_key(text: str) -> str:
    """A public key line, or the path of a file: ``ssh-...`` and ``ecdsa-...`` begin a line."""
    if not text.strip() or "\n" in text.strip():
        raise refusal("is one line: 'ssh-ed25519 AAAA...', or the path of the file that has it")
    return text.strip()


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # ~nobody
        raise refusal(f"{path}: {error}") from None


def _fault(text: str) -> str:
    try:
        return str(fault_of(text))
    except ValueError as error:
        raise refusal(str(error)) from None


def _sector_size(size: int) -> int:
    if size not in SECTOR_SIZES:
        raise refusal(f"{size} is no size of a sector: {' or '.join(map(str, SECTOR_SIZES))}")
    return size


Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["512M", "1G"]}),
    Written(parse_size, format_size, "SIZE"),
]
Wwpn = Annotated[
    int,
    BeforeValidator(_wwpn),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["0x500507630300c562"]}),
    Written(lambda text: int(text, 0), hex, "WWPN"),
]
ConfigurationLine = Annotated[str, AfterValidator(_configuration_line)]
TriggerName = Annotated[str, AfterValidator(lambda name: _known(name, trigger_named))]
WorkloadName = Annotated[str, AfterValidator(lambda name: _known(name, workload_of))]
Suite = Annotated[str, AfterValidator(_suite)]
FaultText = Annotated[str, AfterValidator(_fault)]
FileInto = Annotated[str, AfterValidator(_file_into)]
PathAtHome = Annotated[Path, AfterValidator(_at_home)]
HostKey = Annotated[str, AfterValidator(_host_key)]
SectorSize = Annotated[int, AfterValidator(_sector_size)]
ZiplChoice = Annotated[str, AfterValidator(_zipl)]
