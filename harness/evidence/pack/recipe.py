"""packed.json: how a file is made of the pages of the page store. It may come from anybody."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import zstandard
from pydantic import BaseModel, ConfigDict, Field

from harness.errors import LimitError
from harness.evidence.pack.store import PAGE, PAGES_OF_PACK, Pack, decompressed
from harness.files.json_file import MAX_BYTES, as_model, read_object

MAX_SIZE = 1 << 40  # bytes of one file
MAX_RUNS = 1 << 21  # of one file
_COLUMNS = 4
_TYPE, _NUMBER = "I", 4  # of a number in a column, and its bytes
_LEVEL = 10

Name = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


@dataclass(frozen=True)
class Runs:
    """Columns: ``counts`` pages of a file from ``pages`` on are those of a pack from ``slots`` on.

    ``packs`` has numbers in the list of packs. Columns, because there may be millions.
    """

    pages: array[int]
    packs: array[int]
    slots: array[int]
    counts: array[int]

    @classmethod
    def empty(cls) -> Runs:
        return cls(*(array(_TYPE) for _ in range(_COLUMNS)))

    @classmethod
    def decode(cls, data: bytes) -> Runs:
        """From the columns one after another, little-endian; raises ValueError."""
        length, rest = divmod(len(data), _COLUMNS * _NUMBER)
        if rest or length > MAX_RUNS:
            raise ValueError("not four columns of numbers")
        columns = array(_TYPE, data)
        if sys.byteorder != "little":
            columns.byteswap()
        return cls(*(columns[number * length : (number + 1) * length] for number in range(4)))

    def encode(self) -> bytes:
        columns = self.pages + self.packs + self.slots + self.counts
        if sys.byteorder != "little":
            columns.byteswap()
        return columns.tobytes()

    def check(self, packs: int, pages: int) -> None:
        """Raises ValueError unless they are ascending, and within so many packs and pages."""
        beyond = 0
        for page, pack, slot, count in zip(
            self.pages, self.packs, self.slots, self.counts, strict=True
        ):
            if page < beyond or not count or pack >= packs or slot + count > PAGES_OF_PACK:
                raise ValueError("a page of a file or of a pack that there is not")
            beyond = page + count
        if beyond > pages:
            raise ValueError("a page behind the end of the file")

    def by_pack(self) -> Iterator[tuple[int, Iterator[tuple[int, int, int]]]]:
        """Each pack once, with its (page of the file, page of the pack, count)."""
        order = sorted(range(len(self.packs)), key=self.packs.__getitem__)
        for pack, members in groupby(order, key=self.packs.__getitem__):
            yield pack, ((self.pages[at], self.slots[at], self.counts[at]) for at in members)


class PackedFile(BaseModel):
    """One file. ``digest`` as in ``sparse.digest``; what no run has is zero."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=0, le=MAX_SIZE)]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    packs: list[Name]
    runs: Annotated[str, Field(max_length=MAX_BYTES)]
    """Base64 of a zstd frame of four columns of 32-bit numbers, little-endian, as ``Run``."""

    def decoded(self) -> Runs:
        """Raises ValueError if they are damaged, or do not fit the size or the packs."""
        try:
            data = decompressed(
                base64.b64decode(self.runs, validate=True), MAX_RUNS * _COLUMNS * _NUMBER
            )
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        runs = Runs.decode(data)
        runs.check(len(self.packs), -(-self.size // PAGE))
        return runs


class Packed(BaseModel):
    """packed.json: the files, by their paths in the directory of the run."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    version: Literal[1] = 1
    files: dict[str, PackedFile]

    @classmethod
    def read(cls, path: Path) -> Packed:
        """Raises EvidenceError, naming the file."""
        return as_model(cls, read_object(path), path)

    @property
    def packs(self) -> set[str]:
        """The names of all packs that are needed."""
        return {name for file in self.files.values() for name in file.packs}


@dataclass
class Recipe:
    """Collects where the pages of one file are, ascending."""

    _packs: dict[Pack, int] = field(default_factory=dict)
    _runs: Runs = field(default_factory=Runs.empty)

    def add(self, page: int, pack: Pack, slot: int) -> None:
        number, runs = self._packs.setdefault(pack, len(self._packs)), self._runs
        if runs.pages:
            count = runs.counts[-1]
            follows = runs.pages[-1] + count, runs.packs[-1], runs.slots[-1] + count
            if follows == (page, number, slot):
                runs.counts[-1] += 1
                return
        runs.pages.append(page)
        runs.packs.append(number)
        runs.slots.append(slot)
        runs.counts.append(1)

    def finish(self, size: int, digest: str) -> PackedFile:
        """After the last flush; raises LimitError if the file has more runs than are read."""
        if len(self._runs.pages) > MAX_RUNS or size > MAX_SIZE:
            raise LimitError("it is too large to be packed")
        runs = zstandard.ZstdCompressor(level=_LEVEL).compress(self._runs.encode())
        return PackedFile(
            size=size,
            digest=digest,
            packs=[pack.name for pack in self._packs],
            runs=base64.b64encode(runs).decode(),
        )
