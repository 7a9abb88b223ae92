"""The evidence directory of one run: fixed names, and who may write there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HostError, UsageError
from harness.evidence import names
from harness.files.atomic import replace_text
from harness.files.json_text import to_text

_NAME_LENGTH = 80  # bytes; a file system takes 255, but people read these


@dataclass(frozen=True)
class RunDirectory:
    """Paths below one run's directory; see docs/evidence.md."""

    root: Path

    @property
    def if_there(self) -> Path | None:
        """The directory; None if it does not exist because nothing was written."""
        return self.root if self.root.is_dir() else None

    @property
    def verdict(self) -> Path:
        return self.root / names.VERDICT

    @property
    def run(self) -> Path:
        return self.root / names.RUN

    @property
    def journal(self) -> Path:
        return self.root / names.JOURNAL

    @property
    def crash(self) -> Path:
        return self.root / names.CRASH_DIRECTORY

    @property
    def dump(self) -> Path:
        return self.root / names.DUMP_DIRECTORY

    @property
    def reipl(self) -> Path:
        return self.root / names.REIPL_DIRECTORY

    @property
    def outcome(self) -> Path:
        return self.dump / names.OUTCOME

    @property
    def dump_system(self) -> Path:
        """The memory and the registers of the dump system at its end, unless the run passed."""
        return self.dump / names.DUMP_SYSTEM

    @property
    def slimmed(self) -> Path:
        return self.root / names.SLIMMED

    @property
    def packed(self) -> Path:
        return self.root / names.PACKED

    @property
    def images(self) -> tuple[Path, ...]:
        """The disk, and the record of what was written to it."""
        kept = (names.DISK, names.DISK_BEFORE, names.DISK_WRITES, names.DISK_COMMANDS)
        return tuple(self.root / name for name in kept)

    @property
    def held(self) -> Path:
        return self.root / names.HELD

    @property
    def disk(self) -> Path:
        """The dump disk, written to by the dump system; kept only on request."""
        return self.root / names.DISK

    @classmethod
    def create(cls, root: Path) -> RunDirectory:
        """Make an empty directory; raises UsageError if ``root`` already has files."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            if any(root.iterdir()):
                raise UsageError(
                    f"{root} is not empty", hint="evidence is never overwritten: name another one"
                )
        except OSError as error:
            raise HostError(f"cannot write evidence to {root}: {error.strerror}") from error
        return cls(root)

    def discard(self) -> None:
        """Remove the directory and its content; it was empty when ``create`` returned it."""
        shutil.rmtree(self.root)

    def write_json(self, path: Path, data: Any) -> None:
        replace_text(path, to_text(data) + "\n")

    def drop_disk(self) -> None:
        """Remove the disk, and the record of what was written to it."""
        for path in self.images:
            path.unlink(missing_ok=True)

    def drop_dump_system(self) -> None:
        """Remove the dump system's own memory, which nobody needs if the dump is right."""
        self.dump_system.unlink(missing_ok=True)


def directory_names(wanted: Sequence[str]) -> list[str]:
    """For each of ``wanted`` a different name that any file system and any shell accepts."""
    taken: set[str] = set()
    chosen = []
    for name in wanted:
        stem = re.sub(r"[^A-Za-z0-9.,=_+-]+", "-", name).strip("-.")[:_NAME_LENGTH] or "run"
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem}-{number}"
        taken.add(candidate.casefold())
        chosen.append(candidate)
    return chosen
