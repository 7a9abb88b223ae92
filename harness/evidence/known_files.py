"""Files that were on the dump disk before the dump, and what was there after it.

They are part of the evidence, so that they can be compared later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from harness.evidence.names import FILES
from harness.files.atomic import replace_text
from harness.files.json_file import as_model, read_object
from harness.files.json_text import to_text
from harness.files.plain_file import is_there

MOST = 1024  # files

PathName = Annotated[str, Field(min_length=1, max_length=4096)]
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class KnownFile(_Part):
    """A file that was there before the dump.

    ``mtime`` is in seconds since 1970, ``inode`` is 0 if it is not known.
    """

    path: PathName
    size: Count
    sha256: Digest
    mtime: Count
    inode: Count = 0
    older_dump: bool = False


class FoundFile(_Part):
    """The same path after the dump; without ``size`` there is no regular file.

    The digest is computed only if the size is the known one. ``fault`` is why the file could not
    be read.
    """

    path: PathName
    size: Count | None = None
    inode: Count = 0
    sha256: Digest | None = None
    fault: str | None = None


class KnownFiles(_Part):
    """``after`` is None until the disk was looked at after the dump."""

    before: Annotated[list[KnownFile], Field(min_length=1, max_length=MOST)]
    after: Annotated[list[FoundFile], Field(max_length=MOST)] | None = None

    @property
    def older_dumps(self) -> list[KnownFile]:
        """The oldest first."""
        older = [file for file in self.before if file.older_dump]
        return sorted(older, key=lambda file: file.mtime)

    def save(self, directory: Path) -> None:
        """Write it to the directory of the dump."""
        replace_text(directory / FILES, to_text(self.model_dump()) + "\n")

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """None if no known files were on the disk; raises EvidenceError for a damaged record."""
        path = directory / FILES
        return as_model(cls, read_object(path), path) if is_there(path) else None
