"""What was found on a dump disk. It is part of the evidence and can be verified later, offline."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StrictStr, TypeAdapter, ValidationError

from harness.errors import EvidenceError
from harness.evidence.names import COLLECTED
from harness.files.json_file import read_object
from harness.files.plain_file import is_there
from harness.schema_words import first_fault

_Count = Annotated[int, Field(strict=True, ge=0)]


@dataclass(frozen=True)
class Collected:
    """``size`` is the size of the dump in bytes, None if there was no dump.

    ``note`` tells what was taken and why, or what was found on the disk instead.
    ``superblock_offset`` is where superblock.bin begins, in bytes from the disk's start. It is None
    if no superblock was found, which is correct only for file systems.
    ``sha256sum`` is what ngdump.meta says of the dump, unchecked; None if no ngdump.meta names it.
    """

    size: _Count | None
    note: StrictStr
    superblock_offset: _Count | None = None
    sha256sum: StrictStr | None = None

    def save(self, directory: Path) -> None:
        """Write it beside the dump: from here on the dump has been collected."""
        (directory / COLLECTED).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises EvidenceError if the dump was never collected, or the file is damaged."""
        path = directory / COLLECTED
        if not is_there(path):
            raise EvidenceError(f"{path}: missing, so the dump was never collected")
        try:
            return TypeAdapter(cls).validate_python(read_object(path))
        except ValidationError as error:
            what = first_fault(error)
            raise EvidenceError(f"{path}: does not tell what was collected: {what}") from error
